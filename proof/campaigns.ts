import type { Campaign } from "./campaign.ts";
import { crashLab } from "./crash-lab.ts";
import { damage } from "./damage.ts";
import { model } from "./model.ts";
import { mutation } from "./mutation.ts";
import { nthFailure } from "./nth-failure.ts";
import { postgres } from "./postgres.ts";
import { powerLoss } from "./power-loss.ts";
import { simulation } from "./simulation.ts";

/** All campaigns, in the order in which they are run and stand on the page. */
export const campaigns: readonly Campaign[] = [
  model,
  simulation,
  crashLab,
  powerLoss,
  nthFailure,
  damage,
  postgres,
  mutation,
];
