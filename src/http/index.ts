/**
 * Runs HTTP requests once per `Idempotency-Key`, and webhooks once each, on any server.
 *
 * @module
 */
export type { Body } from "./body.ts";
export { effectOf, notPerformed } from "./effect.ts";
export {
  type ExpressIdempotency,
  type ExpressRequestLike,
  expressIdempotency,
} from "./express.ts";
export type { ExpressResponseLike } from "./express-response.ts";
export {
  type FastifyLike,
  type FastifyReplyLike,
  type FastifyRequestLike,
  fastifyIdempotency,
} from "./fastify.ts";
export { idempotent, type Next, withIdempotency } from "./fetch.ts";
export { type HonoContext, honoIdempotency } from "./hono.ts";
export { keyOf } from "./idempotency-key.ts";
export { type KeptResponse, keptResponse } from "./kept.ts";
export type { Problem, ProblemCode } from "./problem.ts";
export type {
  IdempotencyOptions,
  IdempotencyRules,
  RequestPayload,
  StatusMeaning,
  Tenancy,
} from "./settings.ts";
export { type WebhookEvent, type WebhookHandler, type WebhookOptions, webhook } from "./webhook.ts";
