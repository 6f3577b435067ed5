import { registryMirrorDefinition } from '../../src/api/registry-mirror.ts';
import { API_VERSION } from '../../src/api/names.ts';
import type { Manifest, Refusal } from './refusals.ts';

const upstreams = [{ host: 'docker.io' }];
const storage = { filesystem: { size: '1Gi' } };

function mirror(spec: object, name = 'refused'): Manifest {
  return {
    apiVersion: API_VERSION,
    kind: 'RegistryMirror',
    metadata: { name },
    spec: { upstreams, storage, ...spec },
  };
}

const upstream = (fields: object) => mirror({ upstreams: [{ host: 'registry.example.com', ...fields }] });
const login = { credentialsSecretRef: { name: 'pull' } };
const users = { htpasswd: { users: [{ name: 'nodes', generate: true }] } };

const own: readonly Refusal[] = [
  {
    title: 'A mirror of nothing is refused.',
    manifest: mirror({ upstreams: [] }),
    message: 'spec.upstreams',
  },
  {
    title: 'A mirror on a bucket is refused.',
    manifest: mirror({ storage: {} }),
    message: 'set exactly one of filesystem and ephemeral',
  },
  {
    title: 'A mirror that moves from a volume to the disk of the node is refused.',
    before: mirror({}),
    manifest: mirror({ storage: { ephemeral: { sizeLimit: '1Gi' } } }),
    message: 'the kind of storage cannot change: make another RegistryMirror',
  },
  {
    title: 'A mirror whose name cannot be a Service is refused.',
    manifest: mirror({}, '9lives'),
    message: 'the Service is named like the RegistryMirror, with -mirror: choose a name of at most 43',
  },
  {
    title: 'A mirror with too long a name is refused.',
    manifest: mirror({}, 'a'.repeat(44)),
    message: 'the Service is named like the RegistryMirror, with -mirror: choose a name of at most 43',
  },
  {
    title: 'An upstream that is the API of Docker Hub is refused.',
    manifest: mirror({ upstreams: [{ host: 'registry-1.docker.io' }] }),
    message: 'images of Docker Hub have another name: write docker.io',
  },
  {
    title: 'An upstream with a scheme is refused.',
    manifest: mirror({ upstreams: [{ host: 'https://quay.io' }] }),
    message: 'not the host of a registry: write what names of images begin with',
  },
  {
    title: 'An upstream with a path is refused.',
    manifest: upstream({ url: 'https://registry.example.com/v2' }),
    message: 'not the URL of a registry: write https://host or https://host:port in lower case',
  },
  {
    title: 'An upstream with a password in its URL is refused.',
    manifest: upstream({ url: 'https://me:secret@registry.example.com' }),
    message: 'not the URL of a registry: write https://host or https://host:port in lower case',
  },
  {
    title: 'An authority for plain HTTP is refused.',
    manifest: upstream({ url: 'http://registry.example.com', caBundleRef: { configMapName: 'ca' } }),
    message: 'over plain HTTP no certificate is verified: use an https:// URL, or remove caBundleRef',
  },
  {
    title: 'Authorities from two places are refused.',
    manifest: upstream({ caBundleRef: { configMapName: 'ca', secretName: 'ca' } }),
    message: 'set either secretName or configMapName',
  },
  {
    title: 'An alias that is another upstream is refused.',
    manifest: mirror({
      upstreams: [{ host: 'a.example.com' }, { host: 'b.example.com', aliases: ['a.example.com'] }],
    }),
    message: 'a name leads to one registry: remove the alias that is a host or an alias already',
  },
  {
    title: 'An alias of two upstreams is refused.',
    manifest: mirror({
      upstreams: [
        { host: 'a.example.com', aliases: ['c.example.com'] },
        { host: 'b.example.com', aliases: ['c.example.com'] },
      ],
    }),
    message: 'a name leads to one registry: remove the alias that is a host or an alias already',
  },
  {
    title: 'An upstream that is there twice is refused.',
    manifest: mirror({ upstreams: [{ host: 'a.example.com' }, { host: 'a.example.com' }] }),
    message: 'Duplicate value',
  },
  {
    title: 'A pattern of repositories in upper case is refused.',
    manifest: upstream({ allowedRepositories: ['Team/**'] }),
    message: 'not a pattern of repositories: write lower-case names',
  },
  {
    title: 'Credentials that everybody may use for everything are refused.',
    manifest: upstream(login),
    message:
      'everybody could pull what the credentials open: set allowedRepositories beside credentialsSecretRef',
  },
  {
    title: 'Credentials are refused where clients need no password.',
    manifest: mirror({
      upstreams: [{ host: 'registry.example.com', ...login }],
      auth: { ...users, anonymous: 'Pull' },
    }),
    message: 'everybody could pull what the credentials open',
  },
  {
    title: 'Credentials are refused where clients need no certificate.',
    manifest: mirror({
      upstreams: [{ host: 'registry.example.com', ...login }],
      tls: { clientCAs: { configMapName: 'ca', required: false } },
    }),
    message: 'everybody could pull what the credentials open',
  },
  {
    title: 'Credentials are refused where rules are for certificates that clients need not have.',
    manifest: mirror({
      upstreams: [{ host: 'registry.example.com', ...login }],
      auth: {},
      tls: { clientCAs: { configMapName: 'ca', required: false } },
    }),
    message: 'everybody could pull what the credentials open',
  },
  {
    title: 'A default that is none of the upstreams is refused.',
    manifest: mirror({ defaultUpstream: 'quay.io' }),
    message: 'defaultUpstream is none of the upstreams: write the host of one',
  },
  {
    title: 'Watermarks in the wrong order are refused.',
    manifest: mirror({ cache: { lowWatermark: 90, highWatermark: 90 } }),
    message: 'images go until there is less than there was: make lowWatermark less than highWatermark',
  },
  {
    title: 'A cache of no size is refused.',
    manifest: mirror({ cache: { size: 0 } }),
    message: 'size must be more than nothing: write a quantity such as 20Gi',
  },
  {
    title: 'A cache on the disk of the node without a bound is refused.',
    manifest: mirror({ storage: { ephemeral: {} } }),
    message: 'the cache would fill the disk of the node: set cache.size, or storage.ephemeral.sizeLimit',
  },
  {
    title: 'A cache larger than its volume is refused.',
    manifest: mirror({ cache: { size: '2Gi' } }),
    message:
      'the cache is larger than its volume: make cache.size smaller, or storage.filesystem.size larger',
  },
  {
    title: 'A cache larger than the pod may have is refused.',
    manifest: mirror({ cache: { size: '2Gi' }, storage: { ephemeral: { sizeLimit: '1Gi' } } }),
    message: 'a pod with such a cache would be ended: make cache.size smaller',
  },
  {
    title: 'Nodes that pull what is no upstream are refused.',
    manifest: mirror({ nodes: { enabled: true, registries: ['quay.io'] } }),
    message: 'nodes.registries has one that is none of the upstreams: write hosts of upstreams',
  },
  {
    title: 'Nodes are refused where clients need certificates.',
    manifest: mirror({ nodes: { enabled: true }, tls: { clientCAs: { configMapName: 'ca' } } }),
    message:
      'nodes have no token and no certificate for the mirror: remove auth.token and tls.clientCAs, or nodes',
  },
  {
    title: 'Nodes without a user are refused where clients need passwords.',
    manifest: mirror({ nodes: { enabled: true }, auth: users }),
    message: 'asked for a password, nodes would send those of pods: set nodes.user',
  },
  {
    title: 'Nodes that would send a password over plain HTTP are refused.',
    manifest: mirror({ nodes: { enabled: true, user: 'nodes' }, auth: users, tls: { mode: 'Disabled' } }),
    message: 'nodes would send the password of nodes.user over plain HTTP: set another tls.mode',
  },
  {
    title: 'Nodes that pull as nobody are refused.',
    manifest: mirror({ nodes: { enabled: true, user: 'noodes' }, auth: users }),
    message: 'nodes.user is no user of auth.htpasswd.users: add it there, or write the name of another',
  },
];

const MIRROR_FIELDS = Object.keys(registryMirrorDefinition.spec.properties);

/** Every rule of a RegistryMirror at least once. `ofRegistries`: what a mirror has in common is refused of it as well. */
export function mirrorRefusals(ofRegistries: readonly Refusal[]): readonly Refusal[] {
  const shared = ofRegistries.flatMap(({ title, before, manifest, message }) => {
    if (!isShared(manifest) || (before !== undefined && !isShared(before))) return [];
    return [
      {
        title: `Of a mirror: ${title}`,
        ...(before !== undefined && { before: mirror(before.spec) }),
        manifest: mirror(manifest.spec),
        message: message.replace(/make a second Registry.*$/, 'make another RegistryMirror'),
      },
    ];
  });
  return [...shared, ...own];
}

function isShared({ kind, metadata, spec }: Manifest): boolean {
  const fields = Object.entries<unknown>({ ...spec });
  return (
    kind === 'Registry' &&
    metadata.name === 'refused' &&
    fields.every(([field]) => MIRROR_FIELDS.includes(field) && field !== 'cache') &&
    fields.every(([field, value]) => field !== 'storage' || isDisk(value))
  );
}

function isDisk(value: unknown): boolean {
  const kinds = Object.keys(Object(value));
  return kinds.length === 1 && kinds.every((kind) => kind === 'filesystem' || kind === 'ephemeral');
}

export const mirrorAcceptances: readonly Omit<Refusal, 'message'>[] = [
  {
    title: 'A mirror of four registries for all nodes may be.',
    manifest: mirror({
      upstreams: ['docker.io', 'quay.io', 'ghcr.io', 'registry.k8s.io'].map((host) => ({ host })),
      defaultUpstream: 'docker.io',
      nodes: { enabled: true },
    }),
  },
  {
    title: 'Credentials may be used by who has a password, and by nodes as a user.',
    before: mirror({}),
    manifest: mirror({
      upstreams: [
        { host: 'localhost:5000', url: 'http://10.0.0.7:5000', aliases: ['images.example.com'], ...login },
      ],
      auth: users,
      nodes: { enabled: true, user: 'nodes', registries: ['localhost:5000'], runtimes: ['Docker'] },
    }),
  },
  {
    title: 'Credentials may be used for some repositories.',
    manifest: upstream({
      ...login,
      allowedRepositories: ['team/**'],
      staleIfError: '48h',
      tagFreshness: '0',
    }),
  },
  {
    title: 'A cache may be as large as its volume.',
    manifest: mirror({ cache: { size: '1024Mi', lowWatermark: 1, highWatermark: 100, ttl: '720h' } }),
  },
];
