import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ConfigMap, PersistentVolumeClaim, Pod, Secret } from '../../kube/resources.ts';
import type { NamespaceObjects } from './environment.ts';
import { projectFiles, type ProjectedFile } from './projected-folder.ts';

export type Volume = NonNullable<NonNullable<Pod['spec']>['volumes']>[number];

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
  const { secret, configMap, persistentVolumeClaim, emptyDir } = volume;
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
  if (isProjected(volume) && (secret ?? configMap)?.items === undefined) {
    await projectFiles(own, projectedFiles(volume, objects));
    return own;
  }
  if (emptyDir === undefined) {
    throw new Error(
      `this node has volumes of the kinds secret, configMap, emptyDir and persistentVolumeClaim alone, whole`,
    );
  }
  await mkdir(own, { recursive: true });
  return own;
}

/** Whether its files follow those of an object that can change. */
export function isProjected(volume: Volume): boolean {
  return volume.secret !== undefined || volume.configMap !== undefined;
}

function projectedFiles(
  { secret, configMap }: Volume,
  objects: NamespaceObjects,
): ReadonlyMap<string, ProjectedFile> {
  const name = secret?.secretName ?? configMap?.name ?? '';
  const { defaultMode: mode = 0o644, optional = false } = secret ?? configMap ?? {};
  const content =
    secret === undefined ? configMapContent(objects.configMap(name)) : secretContent(objects.secret(name));
  if (content === undefined && !optional) {
    throw new Error(`${secret === undefined ? 'configmap' : 'secret'} "${name}" not found`);
  }
  return new Map((content ?? []).map(([key, bytes]) => [key, { content: bytes, mode }]));
}

type Content = readonly (readonly [key: string, content: Buffer])[];

function secretContent(secret: Secret | undefined): Content | undefined {
  return (
    secret && Object.entries(secret.data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64')])
  );
}

function configMapContent(configMap: ConfigMap | undefined): Content | undefined {
  const { data = {}, binaryData = {} } = configMap ?? {};
  const texts = Object.entries(data).map(([key, value]) => [key, Buffer.from(value)] as const);
  const bytes = Object.entries(binaryData).map(
    ([key, value]) => [key, Buffer.from(value, 'base64')] as const,
  );
  return configMap && [...texts, ...bytes];
}
