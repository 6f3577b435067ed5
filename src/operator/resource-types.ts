import { GROUP, VERSION } from '../api/names.ts';
import { InvalidObjectError, parseObject } from '../api/parse.ts';
import { registryGCDefinition, type RegistryGC } from '../api/registry-gc.ts';
import { registryMirrorDefinition, type RegistryMirror } from '../api/registry-mirror.ts';
import { registryDefinition, type Registry } from '../api/registry.ts';
import type { ResourceDefinition } from '../api/resource.ts';
import { formatKey, type KubeObject, type Stored } from '../kube/object.ts';
import { resourceType, type ResourceType } from '../kube/resources.ts';
import type { Logger } from '../process/logger.ts';
import type { Served } from './served.ts';

/** An object of ours as it came: the operator reads it only through `readRegistry` and its like. */
export interface UnreadObject extends KubeObject {
  readonly spec?: unknown;
  readonly status?: unknown;
}

export const registries = typeOf(registryDefinition);
export const registryMirrors = typeOf(registryMirrorDefinition);
export const registryGCs = typeOf(registryGCDefinition);

function typeOf(definition: ResourceDefinition): ResourceType<UnreadObject> {
  const { kind, plural } = definition;
  return resourceType<UnreadObject>({ group: GROUP, version: VERSION, plural, kind, namespaced: true });
}

/** @throws {InvalidObjectError} */
export function readRegistry(object: Stored<UnreadObject>): Stored<Registry> {
  const registry = parseObject(registryDefinition, object);
  return { ...registry, metadata: { ...registry.metadata, ...identity(object) } };
}

/** @throws {InvalidObjectError} */
export function readRegistryMirror(object: Stored<UnreadObject>): Stored<RegistryMirror> {
  const mirror = parseObject(registryMirrorDefinition, object);
  return { ...mirror, metadata: { ...mirror.metadata, ...identity(object) } };
}

/** @throws {InvalidObjectError} */
export function readServed(object: Stored<UnreadObject>): Stored<Served> {
  return object.kind === 'RegistryMirror' ? readRegistryMirror(object) : readRegistry(object);
}

/** @throws {InvalidObjectError} */
export function readRegistryGC(object: Stored<UnreadObject>): Stored<RegistryGC> {
  const gc = parseObject(registryGCDefinition, object);
  return { ...gc, metadata: { ...gc.metadata, ...identity(object) } };
}

/** The object when it fits its schema. The API server checked that when it was written, but perhaps by an older one. */
export function readOrLog<T>(
  object: Stored<UnreadObject>,
  read: (object: Stored<UnreadObject>) => T,
  log: Logger,
): T | undefined {
  return readIfFits(object, read, ({ errors }) => {
    const { kind, metadata } = object;
    log.warn({ kind, key: formatKey(metadata), errors }, 'object does not fit its schema');
  });
}

export function readIfFits<T>(
  object: Stored<UnreadObject>,
  read: (object: Stored<UnreadObject>) => T,
  onError: (error: InvalidObjectError) => void = () => undefined,
): T | undefined {
  try {
    return read(object);
  } catch (error) {
    if (!(error instanceof InvalidObjectError)) throw error;
    onError(error);
    return undefined;
  }
}

function identity({ metadata: { uid, resourceVersion, creationTimestamp } }: Stored<UnreadObject>) {
  return { uid, resourceVersion, creationTimestamp };
}
