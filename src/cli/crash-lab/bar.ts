/** How far a long run is: a bar in a terminal, a line now and then elsewhere. */
export interface Bar {
  show(done: number, of: number, note: string): void;
  /** Leaves nothing half drawn behind. */
  end(): void;
}

interface Screen {
  readonly isTTY?: boolean | undefined;
  write(text: string): unknown;
}

const cells = 24;
const redrawMs = 100;
const lineMs = 10_000;

/** @param now milliseconds on a clock that only runs forward */
export function createBar(screen: Screen, now: () => number = () => performance.now()): Bar {
  const started = now();
  const isDrawn = screen.isTTY === true;
  let shownAt = isDrawn ? Number.NEGATIVE_INFINITY : started;
  let isFull = false;

  return {
    show(done, of, note) {
      const at = now();
      const isLast = done >= of && !isFull;
      if (at - shownAt < (isDrawn ? redrawMs : lineMs) && !isLast) return;
      shownAt = at;
      isFull = done >= of;
      const rate = done / Math.max(0.001, (at - started) / 1_000);
      const share = of === 0 ? 1 : done / of;
      const facts = `${words(done)} of ${words(of)}, ${rate.toFixed(1)} a second, ${left((of - done) / rate)} left: ${note}`;
      if (!isDrawn) {
        screen.write(`  ${facts}\n`);
        return;
      }
      const full = Math.round(share * cells);
      screen.write(`\r\u001b[2K  ${"█".repeat(full)}${"░".repeat(cells - full)} ${facts}`);
    },
    end() {
      if (isDrawn) screen.write("\r\u001b[2K");
    },
  };
}

function words(count: number): string {
  return count.toLocaleString("en-US");
}

function left(seconds: number): string {
  return seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`;
}
