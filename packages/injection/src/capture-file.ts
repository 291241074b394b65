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
  const path = decodeURI(capture.slice("file://".length));
  const mounts = objectsAt(application.volumeMounts, `the volumeMounts of container ${application.name}`);
  const holding = mounts
    .filter(({ mountPath }) => typeof mountPath === "string" && isWithin(path, mountPath))
    .sort((a, b) => String(b.mountPath).length - String(a.mountPath).length);
  const [mount] = holding;
  if (mount === undefined || Object.values(paths).includes(String(mount.mountPath) as (typeof paths)["tmp"])) {
    const message = `cutline.dev/capture is ${capture}, and the agent does not see that file: let container ${application.name} write it to a volume that is mounted elsewhere than at ${Object.values(paths).join(", ")}`;
    throw new Refused("CaptureFileNotShared", message);
  }
  const { mountPropagation: _, ...rest } = mount;
  return [{ ...rest, readOnly: true }];
}

function isWithin(path: string, folder: string): boolean {
  return path.startsWith(folder.endsWith("/") ? folder : `${folder}/`);
}
