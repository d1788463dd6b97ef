import { styleText } from "node:util";

export type Tone = "plain" | "quiet" | "strong" | "good" | "bad";

/** Colours a text, or leaves it as it is. The words must say the same without it. */
export type Paint = (tone: Tone, text: string) => string;

const styles = { quiet: "dim", strong: "bold", good: "green", bad: "red" } as const;

/** In a terminal, unless it is told otherwise: NO_COLOR, FORCE_COLOR, TERM=dumb (no-color.org, force-color.org). */
export function paintFor(
  stream: { readonly isTTY?: boolean | undefined },
  env: { readonly [name: string]: string | undefined },
): Paint {
  if (!wantsColour(stream, env)) return (_, text) => text;
  return (tone, text) =>
    tone === "plain" ? text : styleText(styles[tone], text, { validateStream: false });
}

function wantsColour(
  stream: { readonly isTTY?: boolean | undefined },
  env: { readonly [name: string]: string | undefined },
): boolean {
  if (env.NO_COLOR !== undefined && env.NO_COLOR !== "") return false;
  const forced = env.FORCE_COLOR;
  if (forced !== undefined) return forced !== "0" && forced !== "false";
  return stream.isTTY === true && env.TERM !== "dumb";
}
