import { createHash } from 'node:crypto';
import type { RegistryMirror } from '../api/registry-mirror.ts';
import { UPSTREAMS_FOLDER } from '../contract/places.ts';
import type { ApplyFields } from '../kube/client.ts';
import type { Stored } from '../kube/object.ts';
import type { Secret } from '../kube/resources.ts';
import { childMeta, childNames } from './child-names.ts';
import type { CredentialUse } from './credentials.ts';
import type { PodSpec } from './pod-parts.ts';
import { dataText, encodeData } from './secret-data.ts';
import type { Served } from './served.ts';

/**
 * What a mirror needs for an upstream that is in Secrets and ConfigMaps of the user: it is copied into a Secret of ours, a
 * folder of the pod, where the server reads it again when it changes.
 */

export type Upstream = RegistryMirror['spec']['upstreams'][number];
type UpstreamFiles = Readonly<Record<string, string>>;

/** The name of the file. */
export const UPSTREAM_AUTHORITIES = 'ca.crt';
const DOCKER_CONFIG = '.dockerconfigjson';
const DOCKER_HUB_NAMES: readonly string[] = ['docker.io', 'index.docker.io', 'registry-1.docker.io'];

export function usesCredentials({ credentialsSecretRef }: Upstream): boolean {
  return credentialsSecretRef !== undefined;
}

function needsFiles(upstream: Upstream): boolean {
  return usesCredentials(upstream) || upstream.caBundleRef !== undefined;
}

/** Those of whom something is copied. */
export function upstreamsWithFiles({ spec }: RegistryMirror): readonly Upstream[] {
  return spec.upstreams.filter(needsFiles);
}

/**
 * The URL of the upstream where it is that of the registry itself, so that clients may know it. One of another host is for
 * the mirror alone, as the name of a Service, which nodes do not know.
 */
export function ownUrlOf({ host, url }: Upstream): string | undefined {
  return url !== undefined && new URL(url).host === host ? url : undefined;
}

export function upstreamFolder({ host }: Upstream): string {
  return `${UPSTREAMS_FOLDER}/${host.replace(':', '_')}`;
}

/** A host may have what names of objects must not, and be too long for one. */
export function upstreamSecretName(mirror: RegistryMirror, { host }: Upstream): string {
  return childNames(mirror).upstream(hashOf(host));
}

function hashOf(host: string): string {
  return createHash('sha256').update(host).digest('hex').slice(0, 16);
}

export function desiredUpstream(
  mirror: Stored<RegistryMirror>,
  upstream: Upstream,
  files: UpstreamFiles,
): ApplyFields<Secret> {
  return {
    metadata: childMeta(mirror, upstreamSecretName(mirror, upstream)),
    type: 'Opaque',
    data: encodeData(files),
  };
}

/** What of the user's Secret says how to log in at an upstream. */
export function credentialsOfUpstream(
  { host, credentialsSecretRef }: Upstream,
  index: number,
): CredentialUse | undefined {
  if (credentialsSecretRef === undefined) return undefined;
  return {
    path: `spec.upstreams[${index}].credentialsSecretRef`,
    secretName: credentialsSecretRef.name,
    needs: `the keys username and password, or ${DOCKER_CONFIG} with an entry for ${host}`,
    read: (secret) => {
      const [username, password] = [lineOf(secret, 'username'), lineOf(secret, 'password')];
      if (username !== undefined && password !== undefined) return { username, password };
      const entries = entriesFor(host, dataText(secret, DOCKER_CONFIG) ?? '');
      return entries === undefined ? undefined : { [DOCKER_CONFIG]: entries };
    },
  };
}

/** Without the line break that many a tool leaves at the end; an empty one is none. */
function lineOf(secret: Secret, key: string): string | undefined {
  const text = dataText(secret, key)?.replace(/\r?\n$/, '');
  return text === '' ? undefined : text;
}

/** docker's configuration with the entries of one host alone: the others are no business of the mirror's. */
function entriesFor(host: string, text: string): string | undefined {
  const names = DOCKER_HUB_NAMES.includes(host) ? DOCKER_HUB_NAMES : [host];
  const auths = authsIn(text).filter(([place]) => names.includes(hostIn(place)));
  return auths.length === 0 ? undefined : JSON.stringify({ auths: Object.fromEntries(auths) });
}

function authsIn(text: string): readonly (readonly [place: string, entry: unknown])[] {
  try {
    const { auths } = Object(JSON.parse(text)) as { readonly auths?: unknown };
    return Object.entries(Object(auths) as object);
  } catch {
    return [];
  }
}

/** `https://index.docker.io/v1/` is of `index.docker.io`. */
function hostIn(place: string): string {
  return place.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
}

/** Whether a copy from before has all that the pod is told to read. */
export function holdsFilesOf(copy: Secret | undefined, upstream: Upstream): boolean {
  const keys = Object.keys(copy?.data ?? {});
  const loggedIn = keys.includes(DOCKER_CONFIG) || (keys.includes('username') && keys.includes('password'));
  return (
    (!usesCredentials(upstream) || loggedIn) &&
    (upstream.caBundleRef === undefined || keys.includes(UPSTREAM_AUTHORITIES))
  );
}

/** Folders of the pod, each with the object that it is made of. */
export function upstreamMounts(
  registry: Served,
): readonly { readonly folder: string; readonly volume: NonNullable<PodSpec['volumes']>[number] }[] {
  if (registry.kind === 'Registry') return [];
  return upstreamsWithFiles(registry).map((upstream) => ({
    folder: upstreamFolder(upstream),
    volume: {
      name: `upstream-${hashOf(upstream.host)}`,
      secret: { secretName: upstreamSecretName(registry, upstream), defaultMode: 0o440 },
    },
  }));
}
