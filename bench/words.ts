import type { SystemName } from "./measurement.ts";

export const names: { readonly [Name in SystemName]: string } = {
  memory: "SafeAgent, memory",
  sqlite: "SafeAgent, SQLite",
  bare: "(a) bare limit",
  "bare-no-journal": "(a) without the journal",
  "by-hand": "(b) by hand",
  "by-hand-wal": "(b) by hand, WAL",
  postgres: "SafeAgent, Postgres",
  "postgres-bare": "(q) bare limit",
  "postgres-bare-no-journal": "(q) without the journal",
  "postgres-by-hand": "(r) by hand",
};

export function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}

export function rate(perSecond: number): string {
  return perSecond.toLocaleString("en-US", { maximumFractionDigits: 0 });
}

export function ms(value: number): string {
  return value < 10 ? value.toFixed(2) : value.toFixed(value < 100 ? 1 : 0);
}

export function power(receipts: number): string {
  return `10^${Math.round(Math.log10(receipts))}`;
}
