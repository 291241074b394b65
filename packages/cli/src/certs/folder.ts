import { randomUUID } from "node:crypto";
import { mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { CliError, exitCodes, messageOf, systemCodeOf } from "../errors.ts";

/** What a mesh authority is kept in. Whoever has the key can be any process. */
export const authorityFiles = { certificate: "authority.pem", key: "authority.key" } as const;
/** What one program is given: the three files of its CUTLINE_TLS settings. */
export const peerFiles = { certificate: "certificate.pem", key: "key.pem", authorities: "authorities.pem" } as const;

export interface NewFile {
  readonly path: string;
  readonly text: string;
  readonly secret?: true;
  /** It is added to, by someone who has read it: that loses nothing. */
  readonly mayReplace?: true;
}

const secretMode = 0o600;
const publicMode = 0o644;

/** All or, where one is there already and `force` is not given, none. Each appears whole under its name. */
export async function writeFiles(files: readonly NewFile[], force: boolean): Promise<void> {
  const present: string[] = [];
  for (const { path, mayReplace } of files)
    if (!force && mayReplace !== true && (await exists(path))) present.push(path);
  if (present.length > 0) {
    const message = `${present.join(" and ")} ${present.length === 1 ? "is" : "are"} there already: choose another folder, or give --force to replace`;
    throw new CliError("FileExists", exitCodes.refused, message);
  }
  for (const file of files) await write(file);
}

async function write({ path, text, secret }: NewFile): Promise<void> {
  const partial = `${path}.${randomUUID()}.partial`;
  try {
    await mkdir(dirname(path), { recursive: true });
    const file = await open(partial, "wx", secret === true ? secretMode : publicMode);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    const message = `cannot write ${path}: ${messageOf(error)}`;
    throw new CliError("FileNotWritten", exitCodes.usage, message, { cause: error });
  }
}

export async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") {
      throw new CliError("FileMissing", exitCodes.notFound, `there is no file ${path}`, { cause: error });
    }
    throw new CliError("FileUnreadable", exitCodes.usage, `cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
}

export async function readTextIfThere(path: string): Promise<string> {
  return (await exists(path)) ? await readText(path) : "";
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return false;
    throw new CliError("FileUnreadable", exitCodes.usage, `cannot look at ${path}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

export const pathsIn = <Names extends Readonly<Record<string, string>>>(folder: string, names: Names) =>
  Object.fromEntries(Object.entries(names).map(([key, name]) => [key, join(folder, name)])) as Record<
    keyof Names,
    string
  >;
