import type { FrameId, ResponseFrame } from "./frame.ts";
import {
  isOwnId,
  notificationBytes,
  ownId,
  readElicitAnswer,
  requestBytes,
} from "./own-request.ts";
import { type ElicitAnswer, Withdrawn } from "./upstream.ts";

/** Questions to the persons at clients: each is answered, or taken back. */
export interface ClientQuestions {
  /**
   * Asks one, by writing to the client.
   *
   * @throws Withdrawn once a signal aborts; the client is told
   */
  ask(
    params: unknown,
    write: (message: Uint8Array) => unknown,
    signals: readonly AbortSignal[],
  ): Promise<ElicitAnswer>;
  /** Takes a client's response; false where it is no answer to a question of ours, open or not. */
  take(frame: ResponseFrame): boolean;
  /** Takes all of them back, and asks none any more. */
  end(): void;
}

export function createClientQuestions(): ClientQuestions {
  const open = new Map<FrameId, PromiseWithResolvers<ResponseFrame>>();
  const over = new AbortController();

  return {
    async ask(params, write, signals) {
      const until = AbortSignal.any([over.signal, ...signals]);
      if (until.aborted) throw new Withdrawn("nobody waits for the answer");
      const id = ownId();
      const reply = Promise.withResolvers<ResponseFrame>();
      const withdraw = () => {
        const reason = "Nobody waits for the answer any more.";
        write(notificationBytes("notifications/cancelled", { requestId: id, reason }));
        reply.reject(new Withdrawn("nobody waits for the answer any more"));
      };
      open.set(id, reply);
      until.addEventListener("abort", withdraw);
      write(requestBytes(id, "elicitation/create", params));
      try {
        return readElicitAnswer(await reply.promise);
      } finally {
        until.removeEventListener("abort", withdraw);
        open.delete(id);
      }
    },
    take(frame) {
      if (frame.id === null || !isOwnId(frame.id)) return false;
      open.get(frame.id)?.resolve(frame);
      return true;
    },
    end: () => over.abort(),
  };
}
