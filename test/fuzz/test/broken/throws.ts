import type { Target } from "../../engine/target.ts";

/** Fails on every input that begins with 7, from a timer as real code might. */
export const target: Target = {
  name: "throws",
  testExecutions: 0,
  samples: () => [],
  generate: (random) => Buffer.from([random.below(50)]),
  open: () => ({
    run(input) {
      if (input[0] !== 7) return;
      return new Promise(() => {
        setImmediate(() => {
          throw new Error("it began with 7");
        });
      });
    },
    close() {},
  }),
};
