export interface Table {
  readonly title: string;
  readonly heads: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Columns from here on hold figures and stand to the right. */
  readonly figuresFrom: number;
}

export type TableStyle = "plain" | "markdown";

export function tableText(table: Table, style: TableStyle): string {
  return style === "plain" ? plain(table) : markdown(table);
}

function plain({ title, heads, rows, figuresFrom }: Table): string {
  const lines = [heads, ...rows];
  const widths = heads.map((_, column) =>
    Math.max(...lines.map((cells) => (cells[column] ?? "").length)),
  );
  const text = lines.map((cells) =>
    widths
      .map((width, column) => {
        const cell = cells[column] ?? "";
        return column >= figuresFrom ? cell.padStart(width) : cell.padEnd(width);
      })
      .join("  ")
      .trimEnd(),
  );
  return [title, ...text].join("\n");
}

function markdown({ title, heads, rows, figuresFrom }: Table): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const rule = heads.map((_, column) => (column >= figuresFrom ? "---:" : "---"));
  return [`### ${title}`, "", line(heads), line(rule), ...rows.map(line)].join("\n");
}
