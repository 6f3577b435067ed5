import type { Config } from './schema.ts';

/** What a server mirrors and how much it keeps, be it said in `proxy` or in `stevedore.mirror`. Durations are milliseconds. */
export interface MirrorSettings {
  readonly upstreams: readonly UpstreamSettings[];
  /** `host` of the one for requests that name none. */
  readonly defaultUpstream: string | undefined;
  readonly cache: {
    /** Bytes; absent: as much as the volume has. */
    readonly size?: number;
    /** Percent of `size`. */
    readonly highWatermark: number;
    readonly lowWatermark: number;
    /** Since the last pull; absent: for ever. */
    readonly ttl?: number;
  };
}

/** A registry that is mirrored. */
export interface UpstreamSettings {
  /** In lower case, with a port that is not the usual one. */
  readonly host: string;
  readonly url: string;
  /** All names by which clients choose it, `host` among them. */
  readonly names: readonly string[];
  /** Folder of its repositories in the storage. Undefined: the storage is all its, as with docker distribution's proxy. */
  readonly folder: string | undefined;
  readonly credentials: UpstreamCredentials | undefined;
  /** PEM file. */
  readonly ca: string | undefined;
  /** Patterns; none: all repositories. */
  readonly allowedRepositories: readonly string[];
  readonly tagFreshness: number;
  /** Undefined: without limit. */
  readonly staleIfError: number | undefined;
  readonly realmHosts: readonly string[];
}

/** What a mirror is known by at an upstream. */
export type UpstreamCredentials =
  | { readonly username: string; readonly password: string }
  /** With files `username` and `password`, or `.dockerconfigjson`, as a Secret is mounted. */
  | { readonly folder: string }
  /** A credential helper of docker, and for how many milliseconds its answer holds; undefined: until it is refused. */
  | { readonly command: string; readonly lifetime: number | undefined };

/** Docker Hub is one registry with three names, none of which is that of its API alone. */
const DOCKER_HUB = { host: 'docker.io', url: 'https://registry-1.docker.io' };
const DOCKER_HUB_NAMES: readonly string[] = [DOCKER_HUB.host, 'registry-1.docker.io', 'index.docker.io'];

/** docker distribution's proxy asks at every pull, which uses up what Docker Hub allows. */
const PROXY_TAG_FRESHNESS = 60_000;

/** The part of a configuration that says what is mirrored. */
interface MirrorOptions {
  readonly proxy: Config['proxy'];
  readonly stevedore: Pick<Config['stevedore'], 'mirror'>;
}

type UpstreamOptions = Config['stevedore']['mirror']['upstreams'][number];

/** @returns undefined for a configuration of a registry that takes pushes. */
export function mirrorSettings({ proxy, stevedore: { mirror } }: MirrorOptions): MirrorSettings | undefined {
  const isProxy = proxy?.remoteurl !== undefined;
  if (!isProxy && mirror.upstreams.length === 0) return undefined;
  const upstreams = isProxy ? [upstreamOfProxy(proxy, proxy.remoteurl)] : mirror.upstreams.map(upstreamOf);
  const chosen = isProxy ? upstreams[0]?.host : mirror.defaultupstream;
  const ttl = mirror.cache.ttl ?? proxy?.ttl ?? 0;
  return {
    upstreams,
    defaultUpstream: chosen && upstreams.find(({ names }) => names.includes(chosen))?.host,
    cache: {
      ...(mirror.cache.size !== undefined && { size: mirror.cache.size }),
      highWatermark: mirror.cache.highwatermark,
      lowWatermark: mirror.cache.lowwatermark,
      ...(ttl > 0 && { ttl }),
    },
  };
}

function upstreamOf(options: UpstreamOptions): UpstreamSettings {
  const { username, password, credentials } = options;
  const host = usualHost(options.host);
  return {
    host,
    url: options.url ?? (host === DOCKER_HUB.host ? DOCKER_HUB.url : `https://${host}`),
    names: namesOf(host, [options.host, ...options.aliases]),
    folder: host.replace(':', '_'),
    credentials: credentials === undefined ? fixed(username, password) : { folder: credentials },
    ca: options.ca,
    allowedRepositories: options.allowedrepositories,
    tagFreshness: options.tagfreshness,
    staleIfError: options.staleiferror,
    realmHosts: options.realmhosts,
  };
}

function upstreamOfProxy(
  { exec, username, password }: NonNullable<Config['proxy']>,
  url: string,
): UpstreamSettings {
  const host = usualHost(new URL(url).host);
  return {
    host,
    url,
    names: namesOf(host, []),
    folder: undefined,
    credentials:
      exec === undefined ? fixed(username, password) : { command: exec.command, lifetime: exec.lifetime },
    ca: undefined,
    allowedRepositories: [],
    tagFreshness: PROXY_TAG_FRESHNESS,
    staleIfError: undefined,
    realmHosts: [],
  };
}

function fixed(username: string | undefined, password: string | undefined): UpstreamCredentials | undefined {
  return username === undefined ? undefined : { username, password: password ?? '' };
}

/** `index.docker.io` and `docker.io:443` are `docker.io`. */
function usualHost(host: string): string {
  const plain = host.replace(/:443$/, '');
  return DOCKER_HUB_NAMES.includes(plain) ? DOCKER_HUB.host : plain;
}

function namesOf(host: string, more: readonly string[]): readonly string[] {
  return [...new Set([host, ...(host === DOCKER_HUB.host ? DOCKER_HUB_NAMES : []), ...more])];
}
