import type { JsonObject } from "./json.ts";
import { paths } from "./names.ts";
import { Refused } from "./outcome.ts";
import { type Container, objectsAt } from "./pod.ts";

/**
 * The mount by which the agent sees the file that the application writes: the application's own, for reading.
 * Nothing for other sources. Throws {@link Refused} where the file is in no volume.
 */
export function captureMounts(capture: string, application: Container): readonly JsonObject[] {
  if (!capture.startsWith("file://")) return [];
  const path = pathOf(capture);
  const mounts = objectsAt(application.volumeMounts, `the volumeMounts of container ${application.name}`);
  const [holding] = mounts
    .flatMap((mount) => (typeof mount.mountPath === "string" ? [{ mount, folder: folderOf(mount.mountPath) }] : []))
    .filter(({ folder }) => isWithin(path, folder))
    .sort((a, b) => b.folder.length - a.folder.length);
  if (holding === undefined || isInTheWay(holding.folder)) {
    const message = `cutline.dev/capture is ${capture}, and the agent does not see that file: let container ${application.name} write it to a volume that is mounted elsewhere than at ${Object.values(paths).join(", ")}`;
    throw new Refused("CaptureFileNotShared", message);
  }
  const { mountPropagation: _, ...rest } = holding.mount;
  return [{ ...rest, readOnly: true }];
}

/** As the agent reads it: with `..` and what is encoded resolved. */
function pathOf(capture: string): string {
  const url = URL.parse(capture);
  const isPath = url !== null && url.search === "" && url.hash === "" && !/%2f/i.test(url.pathname);
  try {
    if (isPath) return decodeURIComponent(url.pathname);
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
  }
  const message = `cutline.dev/capture is ${capture}, which is no path of a file; write % as %25, ? as %3F and # as %23`;
  throw new Refused("AnnotationInvalid", message);
}

function folderOf(mountPath: string): string {
  const parts: string[] = [];
  for (const part of mountPath.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/** Of what the agent has mounted for itself: another one there would take its place, or lie above it. */
function isInTheWay(folder: string): boolean {
  const { tmp, identity, token } = paths;
  return [identity, token].some((own) => isWithin(own, folder) || isWithin(folder, own)) || folder === tmp;
}

/** A folder is within itself. */
function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith("/") ? folder : `${folder}/`);
}
