import type { CoordinatorClient } from "./client.ts";
import type { Io } from "./io.ts";
import type { Paint } from "./output/palette.ts";

export const outputFormats = ["table", "wide", "json", "yaml"] as const;
export type OutputFormat = (typeof outputFormats)[number];

/** What every command works with, after the global options are read. */
export interface Context {
  readonly io: Io;
  readonly format: OutputFormat;
  readonly quiet: boolean;
  /** For stdout. */
  readonly paint: Paint;
  /** Connects to nothing before its first request. Throws a usage error when the URL is none. */
  client(): CoordinatorClient;
}

/** What commander hands to a command's action, already typed by the options' parsers. */
export type Run = (work: (context: Context) => Promise<number>) => Promise<void>;
