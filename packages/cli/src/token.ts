import { readFile } from "node:fs/promises";
import { CliError, exitCodes, messageOf } from "./errors.ts";
import type { Io } from "./io.ts";

const tokenCharsMax = 12 * 1024;
/** One word of visible characters: it stands in a header. */
const tokenForm = /^[!-~]+$/;

/**
 * What the coordinator knows the caller by: of `--token-file`, else of CUTLINE_TOKEN_FILE or CUTLINE_TOKEN. `undefined`:
 * there is none. Rejects with a usage error that does not quote it.
 */
export async function readToken(io: Io, file: string | undefined): Promise<string | undefined> {
  const { CUTLINE_TOKEN_FILE: fileOfEnvironment, CUTLINE_TOKEN: token } = io.env;
  if (file !== undefined) return checked(await read(file), file);
  if (fileOfEnvironment && token) {
    throw usage("CUTLINE_TOKEN_FILE and CUTLINE_TOKEN are both set; set one of them");
  }
  if (fileOfEnvironment) return checked(await read(fileOfEnvironment), fileOfEnvironment);
  return token ? checked(token, "CUTLINE_TOKEN") : undefined;
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw usage(`the token cannot be read: ${messageOf(error)}`);
  }
}

function checked(text: string, where: string): string {
  const token = text.trim();
  if (token.length <= tokenCharsMax && tokenForm.test(token)) return token;
  throw usage(`${where} holds no token: it is one word of visible characters, at most ${tokenCharsMax}`);
}

function usage(message: string): CliError {
  return new CliError("TokenInvalid", exitCodes.usage, message);
}
