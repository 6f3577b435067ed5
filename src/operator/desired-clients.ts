import { dump } from 'js-yaml';
import type { RegistryMirror } from '../api/registry-mirror.ts';
import type { ApplyFields } from '../kube/client.ts';
import type { Stored } from '../kube/object.ts';
import type { ConfigMap, Service } from '../kube/resources.ts';
import { childMeta, childNames } from './child-names.ts';
import { ownUrlOf, type Upstream } from './desired-upstream.ts';
import { registryUrl } from './registry-url.ts';

/**
 * Ready-made configurations of what pulls images, for those who write them by hand. None has a password in it: whoever
 * may read a ConfigMap is not thereby allowed to pull.
 */

/** Where the pages below have people put what the certificate is verified with. */
const CA_FILE = '/etc/stevedore/mirror-ca.pem';

/** Where the mirror is for nodes, which do not know the names of the cluster: scheme, host and port. Undefined: nowhere yet. */
export function mirrorEndpoint(mirror: RegistryMirror, service: Service | undefined): string | undefined {
  return mirror.spec.hostname === undefined ? serviceEndpoint(mirror, service) : registryUrl(mirror);
}

/** The same by the address of its Service. */
export function serviceEndpoint(mirror: RegistryMirror, service: Service | undefined): string | undefined {
  const [address] = service?.spec?.clusterIPs ?? [];
  if (address === undefined || address === 'None') return undefined;
  const scheme = mirror.spec.tls.mode === 'Disabled' ? 'http' : 'https';
  const host = address.includes(':') ? `[${address}]` : address;
  return `${scheme}://${host}:${mirror.spec.service.port}`;
}

/** `trusted`: what clients verify the certificate with, in PEM; undefined: what they trust anyway. */
export function desiredClients(
  mirror: Stored<RegistryMirror>,
  endpoint: string,
  trusted: string | undefined,
): ApplyFields<ConfigMap> {
  const { upstreams, defaultUpstream } = mirror.spec;
  const place = {
    endpoint,
    authority: endpoint.replace(/^https?:\/\//, ''),
    verifies: trusted !== undefined,
  };
  const hosts = upstreams.map((upstream) => [hostsFile(upstream), hostsToml(upstream, place)] as const);
  return {
    metadata: childMeta(mirror, childNames(mirror).clients),
    data: {
      ...Object.fromEntries(hosts),
      // Docker asks a mirror for images of Docker Hub alone, and does not say so.
      ...(defaultUpstream === 'docker.io' && { 'daemon.json': daemonJson(place) }),
      'registries.conf': registriesConf(upstreams, place),
      'buildkitd.toml': buildkitdToml(upstreams, place),
      'registries.yaml': registriesYaml(upstreams, place),
      ...(trusted !== undefined && { 'mirror-ca.pem': trusted }),
    },
  };
}

interface Place {
  readonly endpoint: string;
  /** Host and port. */
  readonly authority: string;
  /** Whether there is something to verify its certificate with. */
  readonly verifies: boolean;
}

function isPlain({ endpoint }: Place): boolean {
  return endpoint.startsWith('http:');
}

/** After the folder below `/etc/containerd/certs.d` in which it is `hosts.toml`. */
function hostsFile({ host }: Upstream): string {
  const folder = host.replace(/:(\d+)$/, '_$1_');
  return `${folder}.hosts.toml`;
}

/** https://github.com/containerd/containerd/blob/main/docs/hosts.md */
function hostsToml(upstream: Upstream, place: Place): string {
  return lines(
    `server = ${quoted(serverOf(upstream))}`,
    '',
    `[host.${quoted(place.endpoint)}]`,
    '  capabilities = ["pull", "resolve"]',
    // Verified for this host alone, which the top level would not do.
    place.verifies && `  ca = ${quoted(CA_FILE)}`,
  );
}

/** Where clients pull what the mirror does not have. */
function serverOf(upstream: Upstream): string {
  const { host } = upstream;
  return ownUrlOf(upstream) ?? (host === 'docker.io' ? 'https://registry-1.docker.io' : `https://${host}`);
}

/** https://docs.docker.com/reference/cli/dockerd/#daemon-configuration-file */
function daemonJson(place: Place): string {
  const config = {
    'registry-mirrors': [place.endpoint],
    ...(isPlain(place) && { 'insecure-registries': [place.authority] }),
  };
  return `${JSON.stringify(config, undefined, 2)}\n`;
}

/** CRI-O and podman, which put the name of the registry into the path: containers-registries.conf(5). */
function registriesConf(upstreams: readonly Upstream[], place: Place): string {
  const sections = upstreams.map(({ host }) =>
    lines(
      '[[registry]]',
      `prefix = ${quoted(host)}`,
      `location = ${quoted(host)}`,
      '[[registry.mirror]]',
      // As the mirror takes it: a name of a repository has no colon.
      `location = ${quoted(`${place.authority}/${host.replace(':', '_')}`)}`,
      isPlain(place) && 'insecure = true',
    ),
  );
  const note = place.verifies
    ? `# /etc/containers/certs.d/${place.authority}/ca.crt is mirror-ca.pem.\n\n`
    : '';
  return note + sections.join('\n');
}

/** https://github.com/moby/buildkit/blob/master/docs/buildkitd.toml.md */
function buildkitdToml(upstreams: readonly Upstream[], place: Place): string {
  const sections = upstreams.map(({ host }) =>
    lines(`[registry.${quoted(host)}]`, `  mirrors = [${quoted(place.authority)}]`),
  );
  const own = lines(
    `[registry.${quoted(place.authority)}]`,
    isPlain(place) && '  http = true',
    place.verifies && `  ca = [${quoted(CA_FILE)}]`,
  );
  return [...sections, ...(isPlain(place) || place.verifies ? [own] : [])].join('\n');
}

/** k3s and RKE2: https://docs.k3s.io/installation/private-registry */
function registriesYaml(upstreams: readonly Upstream[], place: Place): string {
  const mirrors = upstreams.map(({ host }) => [host, { endpoint: [place.endpoint] }] as const);
  const config = {
    mirrors: Object.fromEntries(mirrors),
    ...(place.verifies && { configs: { [place.authority]: { tls: { ca_file: CA_FILE } } } }),
  };
  return dump(config, { lineWidth: -1, noRefs: true });
}

/** A basic string of TOML, as which JSON's are read too: https://toml.io/en/v1.0.0#string */
function quoted(text: string): string {
  return JSON.stringify(text);
}

function lines(...all: readonly (string | false)[]): string {
  return `${all.filter((line) => line !== false).join('\n')}\n`;
}
