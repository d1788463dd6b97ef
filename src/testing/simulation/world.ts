import type { Store } from "../../index.ts";
import type { Chance } from "../chance.ts";
import type { Agenda } from "./agenda.ts";
import type { Faults } from "./faults.ts";
import type { Setting } from "./setting.ts";
import type { Trace } from "./trace.ts";
import type { Witness } from "./witness.ts";

/** What everything in a simulated world shares. */
export interface World {
  readonly setting: Setting;
  readonly agenda: Agenda;
  readonly chance: Chance;
  readonly faults: Faults;
  readonly trace: Trace;
  readonly witness: Witness;
  /** The store itself, as it is without faults. */
  readonly store: Store;
  readonly weather: Weather;
}

/** What is so everywhere at a moment. */
export interface Weather {
  /** From here on nothing goes wrong any more. */
  isFair: boolean;
  /** Until when the store is down. */
  storeDownUntil: number;
  /** This outage has struck somebody. */
  outageIsFelt: boolean;
  /** How far the clock of each process is off, in milliseconds. */
  readonly clockOff: number[];
}

/** When the simulated worlds begin: milliseconds since 1970. */
export const epoch = 1_700_000_000_000;

/** Whether a fault fires at a crossing of a boundary; counted where it does. */
export function strikes(world: World, rate: number, chance: Chance): boolean {
  return !world.weather.isFair && chance.happens(rate);
}
