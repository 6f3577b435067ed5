import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ConfigMap, PersistentVolumeClaim, Pod, Secret } from '../../kube/resources.ts';
import type { NamespaceObjects } from './environment.ts';
import { projectFiles, type ProjectedFile } from './projected-folder.ts';

type Volume = NonNullable<NonNullable<Pod['spec']>['volumes']>[number];

export interface VolumeObjects extends NamespaceObjects {
  claim(name: string): PersistentVolumeClaim | undefined;
}

/** Where volumes are: those of a pod in a folder that goes with it, those of claims in one that stays. */
export interface VolumeFolders {
  readonly pod: string;
  readonly claims: string;
}

/**
 * Makes a volume of a pod, or brings it up to date, and returns its folder.
 * @throws {Error} when what it is made of is not there, in the words of the kubelet
 */
export async function makeVolume(
  volume: Volume,
  folders: VolumeFolders,
  objects: VolumeObjects,
): Promise<string> {
  const own = join(folders.pod, volume.name);
  const { secret, configMap, persistentVolumeClaim, hostPath, emptyDir } = volume;
  if (hostPath !== undefined) return hostPath.path;
  if (persistentVolumeClaim !== undefined) {
    const { claimName } = persistentVolumeClaim;
    const claim = objects.claim(claimName);
    if (claim === undefined) throw new Error(`persistentvolumeclaim "${claimName}" not found`);
    const name = claim.spec?.volumeName;
    if (claim.status?.phase !== 'Bound' || name === undefined) {
      throw new Error(`PVC ${claimName} is not bound`);
    }
    const folder = join(folders.claims, name);
    await mkdir(folder, { recursive: true });
    return folder;
  }
  if (secret !== undefined || configMap !== undefined) {
    await projectFiles(own, projectedFiles(volume, objects));
    return own;
  }
  if (emptyDir === undefined) {
    throw new Error(
      `this node has volumes of the kinds secret, configMap, emptyDir, hostPath and persistentVolumeClaim alone`,
    );
  }
  await mkdir(own, { recursive: true });
  return own;
}

/** Whether its files follow those of an object that can change. */
export function isProjected(volume: Volume): boolean {
  return volume.secret !== undefined || volume.configMap !== undefined;
}

function projectedFiles(volume: Volume, objects: NamespaceObjects): ReadonlyMap<string, ProjectedFile> {
  const { secret, configMap } = volume;
  const name = secret?.secretName ?? configMap?.name ?? '';
  const { items, defaultMode = 0o644, optional = false } = secret ?? configMap ?? {};
  const what = secret === undefined ? 'configmap' : 'secret';
  const content =
    secret === undefined ? configMapContent(objects.configMap(name)) : secretContent(objects.secret(name));
  if (content === undefined) {
    if (optional) return new Map();
    throw new Error(`${what} "${name}" not found`);
  }
  if (items === undefined) {
    return new Map([...content].map(([key, bytes]) => [key, { content: bytes, mode: defaultMode }]));
  }
  const chosen = items.flatMap(({ key, path, mode = defaultMode }) => {
    const bytes = content.get(key);
    if (bytes !== undefined) return [[path, { content: bytes, mode }] as const];
    if (optional) return [];
    throw new Error(`references non-existent ${what} key: ${key}`);
  });
  return new Map(chosen);
}

function secretContent(secret: Secret | undefined): ReadonlyMap<string, Buffer> | undefined {
  if (secret === undefined) return undefined;
  return new Map(
    Object.entries(secret.data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64')]),
  );
}

function configMapContent(configMap: ConfigMap | undefined): ReadonlyMap<string, Buffer> | undefined {
  if (configMap === undefined) return undefined;
  return new Map([
    ...Object.entries(configMap.data ?? {}).map(([key, value]) => [key, Buffer.from(value)] as const),
    ...Object.entries(configMap.binaryData ?? {}).map(
      ([key, value]) => [key, Buffer.from(value, 'base64')] as const,
    ),
  ]);
}
