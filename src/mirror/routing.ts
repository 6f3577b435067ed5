import type { UpstreamSettings } from '../contract/config/mirror-settings.ts';
import { parseRepositoryName, type RepositoryName } from '../oci/repository-name.ts';
import { RegistryError } from '../registry/errors.ts';

/** What a request is about. */
export interface Target<T> {
  readonly upstream: T;
  /** As the upstream has it. */
  readonly repository: RepositoryName;
  /** As the storage has it, and rules of access. */
  readonly stored: RepositoryName;
}

type Routed = Pick<UpstreamSettings, 'host' | 'names' | 'folder'>;

/**
 * Finds the upstream of a request: by `?ns=`, which containerd sends (OCI distribution-spec, "Registry Proxying"), else by
 * the first part of the path, else the default one. A name only looks an upstream up and is never connected to, so that
 * nobody can make the mirror call hosts that it was not told of.
 * @param defaultUpstream its host
 */
export function createRouting<T extends Routed>(
  upstreams: readonly T[],
  defaultUpstream: string | undefined,
): (name: RepositoryName, ns: string | null) => Target<T> {
  const byName = new Map(upstreams.flatMap((one) => one.names.map((name) => [usual(name), one] as const)));
  // A colon cannot stand in the name of a repository.
  const byFirstPart = new Map([...byName].map(([name, one]) => [name.replace(':', '_'), one]));
  const byDefault = upstreams.find(({ host }) => host === defaultUpstream);

  return (name, ns) => {
    const [first = '', ...rest] = name.split('/');
    const prefixed = rest.length > 0 ? byFirstPart.get(first) : undefined;
    const upstream = ns === null ? (prefixed ?? byDefault) : byName.get(usual(ns));
    if (upstream === undefined) throw unknownUpstream(ns, first);
    return targetOf(upstream, upstream === prefixed ? rest.join('/') : name);
  };
}

function usual(name: string): string {
  return name.toLowerCase().replace(/:443$/, '');
}

function targetOf<T extends Routed>(upstream: T, name: string): Target<T> {
  // As docker does: `docker.io/alpine` is short for this.
  const full = upstream.host === 'docker.io' && !name.includes('/') ? `library/${name}` : name;
  const repository = parseRepositoryName(full);
  const stored = parseRepositoryName(upstream.folder === undefined ? full : `${upstream.folder}/${full}`);
  if (repository === undefined || stored === undefined)
    throw new RegistryError({ code: 'NAME_INVALID', detail: { name } });
  return { upstream, repository, stored };
}

function unknownUpstream(ns: string | null, first: string): RegistryError {
  const message =
    ns === null
      ? 'the name does not begin with the host of an upstream of this mirror, which has no default one'
      : 'this mirror has no such upstream';
  return new RegistryError({ code: 'NAME_UNKNOWN', message, detail: { upstream: ns ?? first } });
}
