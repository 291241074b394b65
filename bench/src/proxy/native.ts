import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { ProxyBenchError } from "./errors.ts";

const sources = fileURLToPath(new URL("../../proxy/", import.meta.url));

/** The load and echo programs in C, compiled into a folder. */
export interface NativePrograms {
  readonly echo: string;
  readonly load: string;
}

export async function compileNative(folder: string, path: string): Promise<NativePrograms> {
  const compile = async (name: string): Promise<string> => {
    const output = join(folder, name);
    const args = ["-O2", "-Wall", "-Wextra", "-Werror", "-o", output, join(sources, `${name}.c`), "-lnghttp2"];
    try {
      await promisify(execFile)("gcc", args, { env: { PATH: path } });
    } catch (error) {
      const message = `${name}.c does not compile; is libnghttp2-dev there (scripts/ensure-proxies.sh)?\n${(error as Error).message}`;
      throw new ProxyBenchError("ProgramFailed", message);
    }
    return output;
  };
  return { echo: await compile("echo"), load: await compile("load") };
}
