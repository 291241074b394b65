import type { FastifyReply, FastifyRequest } from "fastify";

/**
 * Bounds what the bodies of all requests hold at a time: each is counted, before it is read, with the length that it
 * says it has, or with the longest there may be, until its answer is out or its connection gone.
 */
export class BodyBudget {
  readonly #bodyBytesMax: number;
  readonly #bodiesBytesMax: number;
  #held = 0;

  constructor(bodyBytesMax: number, bodiesBytesMax: number) {
    this.#bodyBytesMax = bodyBytesMax;
    this.#bodiesBytesMax = bodiesBytesMax;
  }

  /** Whether the body may come. */
  admit(request: FastifyRequest, reply: FastifyReply): boolean {
    const told = request.headers["content-length"];
    // One that says it is too long is refused by its length, unread.
    const bytes = told === undefined ? this.#bodyBytesMax : Math.min(Number(told), this.#bodyBytesMax);
    if (this.#held + bytes > this.#bodiesBytesMax) return false;
    this.#held += bytes;
    reply.raw.once("close", () => {
      this.#held -= bytes;
    });
    return true;
  }
}
