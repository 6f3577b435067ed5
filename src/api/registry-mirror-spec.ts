import {
  dataKey,
  duration,
  durationWithDefault,
  eitherObject,
  SECRET_LABEL,
  secretRef,
} from './field-schemas.ts';
import { originPattern, registryHostPattern, repositoryGlobPattern, sizePattern } from './formats.ts';
import { NODE_ACCESS, nodeSelector } from './node-access.ts';
import { auth, loginRules, userName } from './registry-auth.ts';
import { mirrorMetrics, networkPolicy, service } from './registry-exposure.ts';
import { hostname } from './registry-spec.ts';
import { ephemeral, filesystemOf, storageRules } from './registry-storage.ts';
import { tls } from './registry-tls.ts';
import { podTemplate, resources } from './registry-workload.ts';
import type { ArraySchema, ObjectSchema, StringSchema, ValidationRule } from './schema.ts';

function registryHost(description: string) {
  return {
    type: 'string',
    minLength: 1,
    maxLength: 253,
    pattern: registryHostPattern,
    description,
  } as const satisfies StringSchema;
}

function registryHosts(description: string, maxItems: number) {
  return {
    type: 'array',
    minItems: 1,
    maxItems,
    'x-kubernetes-list-type': 'set',
    description,
    items: registryHost('A host, perhaps with a port.'),
  } as const satisfies ArraySchema;
}

const upstreams = {
  type: 'array',
  minItems: 1,
  maxItems: 16,
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': ['host'],
  description: 'The registries that are mirrored.',
  items: {
    type: 'object',
    required: ['host'],
    description: 'One registry.',
    properties: {
      host: {
        ...registryHost(
          'What names of images begin with: `docker.io`, `registry.example.com:5000`. Clients ask for it by `?ns=`, as containerd does, or as the first part of the path.',
        ),
        'x-kubernetes-validations': [
          {
            rule: "!(self in ['index.docker.io', 'registry-1.docker.io'])",
            message:
              'images of Docker Hub have another name: write docker.io, which has this alias by itself',
          },
        ],
      },
      url: {
        type: 'string',
        minLength: 1,
        maxLength: 512,
        pattern: originPattern,
        description:
          'Where it is. Without it, `https://` and `host`; of `docker.io`, `https://registry-1.docker.io`.',
      },
      aliases: registryHosts('Other names of it that clients may ask for.', 8),
      credentialsSecretRef: secretRef(
        `A Secret by which the mirror logs in there, with the keys \`username\` and \`password\`, or of type \`kubernetes.io/dockerconfigjson\` with an entry for \`host\`. ${SECRET_LABEL} Changes restart nothing.`,
      ),
      caBundleRef: {
        type: 'object',
        description:
          'Certificates in PEM of authorities to trust besides the usual ones, from either a Secret or a ConfigMap. Changes restart nothing.',
        properties: {
          ...eitherObject.properties,
          key: { ...dataKey('The key in its data.'), default: 'ca.crt' },
        },
        'x-kubernetes-validations': [eitherObject.rule],
      },
      allowedRepositories: {
        type: 'array',
        minItems: 1,
        maxItems: 64,
        'x-kubernetes-list-type': 'set',
        description:
          'The repositories that may be pulled, as that registry names them: `*` stands for anything but a slash, `**` for anything. Without it, all.',
        items: {
          type: 'string',
          minLength: 1,
          maxLength: 255,
          pattern: repositoryGlobPattern,
          description: 'A name or a pattern, such as `library/*`.',
        },
      },
      tagFreshness: durationWithDefault(
        '60s',
        'How long a tag leads where it led before the registry is asked again.',
      ),
      staleIfError: duration(
        'How long after that a tag is still answered with what it led to while the registry does not answer. Without it, without limit. Never when the registry refuses it.',
      ),
      realmHosts: registryHosts(
        'Hosts that give out tokens for this registry and are not of its own domain. Credentials go nowhere else.',
        8,
      ),
    },
    'x-kubernetes-validations': [
      {
        rule: "!has(self.caBundleRef) || !has(self.url) || self.url.startsWith('https:')",
        message: 'over plain HTTP no certificate is verified: use an https:// URL, or remove caBundleRef',
        fieldPath: '.caBundleRef',
      },
    ],
  },
  'x-kubernetes-validations': [
    {
      rule: 'self.all(one, !has(one.aliases) || one.aliases.all(alias, self.exists_one(other, other.host == alias || (has(other.aliases) && alias in other.aliases)) && alias != one.host))',
      message: 'a name leads to one registry: remove the alias that is a host or an alias already',
    },
  ],
} as const satisfies ArraySchema;

const percent = (value: number, description: string) =>
  ({ type: 'integer', format: 'int32', minimum: 1, maximum: 100, default: value, description }) as const;

const cache = {
  type: 'object',
  default: {},
  description: 'How much is kept. The images that nobody pulled for the longest time go first.',
  properties: {
    size: {
      'x-kubernetes-int-or-string': true,
      maxLength: 32,
      pattern: sizePattern,
      description:
        'How much images may take, as a quantity: `20Gi`. Without it, as much as `storage` says, or what the volume of an existing claim has.',
    },
    highWatermark: percent(90, 'Percent of the size at which images begin to go.'),
    lowWatermark: percent(80, 'Percent of the size at which that ends.'),
    ttl: duration(
      'How long an image that nobody pulls is kept, also when there is room. Without it, for ever.',
    ),
  },
  'x-kubernetes-validations': [
    {
      // The API server checks the rules on the default of `cache` too, which is still empty then.
      rule: '!has(self.lowWatermark) || self.lowWatermark < self.highWatermark',
      message: 'images go until there is less than there was: make lowWatermark less than highWatermark',
    },
    {
      rule: "!has(self.size) || !isQuantity(string(self.size)) || quantity(string(self.size)).isGreaterThan(quantity('0'))",
      message: 'size must be more than nothing: write a quantity such as 20Gi',
      fieldPath: '.size',
    },
  ],
} as const satisfies ObjectSchema;

/** The cache is read and written at once, and counted, which a disk can do. */
const ANOTHER_MIRROR = 'make another RegistryMirror, which fetches what it is asked for';
const kinds = { filesystem: filesystemOf('RegistryMirror', ANOTHER_MIRROR), ephemeral } as const;

const storage = {
  type: 'object',
  description:
    'Where images are kept: a volume, or the disk of the node. It cannot be changed for the other.',
  properties: kinds,
  'x-kubernetes-validations': storageRules(Object.keys(kinds), ANOTHER_MIRROR),
} as const satisfies ObjectSchema;

const nodes = {
  type: 'object',
  description: `Nodes that pull through the mirror without being configured by hand. ${NODE_ACCESS} What is written on nodes is taken back when the mirror is deleted or does not answer; what somebody else wrote stays.`,
  properties: {
    enabled: { type: 'boolean', default: false, description: 'Whether nodes are configured.' },
    selector: nodeSelector,
    runtimes: {
      type: 'array',
      minItems: 1,
      maxItems: 2,
      'x-kubernetes-list-type': 'set',
      default: ['Containerd'],
      description: 'Which runtimes of the nodes are configured.',
      items: { type: 'string', enum: ['Containerd', 'Docker'], description: 'A runtime.' },
    },
    registries: registryHosts(
      'Hosts of `upstreams` that nodes pull through the mirror. Without it, all.',
      16,
    ),
    user: {
      ...userName,
      description:
        'The user of `auth.htpasswd.users` as whom nodes pull. Needed where the mirror lets nobody in without a password.',
    },
  },
} as const satisfies ObjectSchema;

/** A mirror has one pod, which there is nothing to spread of. */
const { topologySpreadConstraints: _, ...podProperties } = podTemplate.properties;
const mirrorPodTemplate = {
  ...podTemplate,
  description:
    'How the pod is made. It satisfies the `restricted` pod security standard, whatever is written here.',
  properties: podProperties,
} as const satisfies ObjectSchema;

/** Whether whoever pulls from the mirror has said who it is. */
const KNOWN_CLIENTS =
  "((has(self.auth) && self.auth.anonymous == 'None' && (has(self.auth.htpasswd) || has(self.auth.token))) || (has(self.tls.clientCAs) && self.tls.clientCAs.required))";
const NODES_ENABLED = '(has(self.nodes) && self.nodes.enabled)';

/** Rules of the spec that read more than one of its fields. */
const mirrorRules = [
  {
    rule: `${KNOWN_CLIENTS} || self.upstreams.all(one, !has(one.credentialsSecretRef) || has(one.allowedRepositories))`,
    message:
      'everybody could pull what the credentials open: set allowedRepositories beside credentialsSecretRef, or auth with passwords or tokens and without anonymous',
    fieldPath: '.upstreams',
  },
  {
    rule: '!has(self.defaultUpstream) || self.upstreams.exists(one, one.host == self.defaultUpstream)',
    message: 'defaultUpstream is none of the upstreams: write the host of one',
    fieldPath: '.defaultUpstream',
  },
  {
    rule: '!has(self.storage.ephemeral) || has(self.storage.ephemeral.sizeLimit) || has(self.cache.size)',
    message: 'the cache would fill the disk of the node: set cache.size, or storage.ephemeral.sizeLimit',
    fieldPath: '.cache',
  },
  {
    rule: '!has(self.cache.size) || !has(self.storage.filesystem) || !has(self.storage.filesystem.size) || !isQuantity(string(self.cache.size)) || !isQuantity(string(self.storage.filesystem.size)) || quantity(string(self.cache.size)).compareTo(quantity(string(self.storage.filesystem.size))) <= 0',
    message:
      'the cache is larger than its volume: make cache.size smaller, or storage.filesystem.size larger',
    fieldPath: '.cache.size',
  },
  {
    rule: '!has(self.cache.size) || !has(self.storage.ephemeral) || !has(self.storage.ephemeral.sizeLimit) || !isQuantity(string(self.cache.size)) || !isQuantity(string(self.storage.ephemeral.sizeLimit)) || quantity(string(self.cache.size)).compareTo(quantity(string(self.storage.ephemeral.sizeLimit))) <= 0',
    message:
      'a pod with such a cache would be ended: make cache.size smaller, or storage.ephemeral.sizeLimit larger',
    fieldPath: '.cache.size',
  },
  {
    rule: '!has(self.nodes) || !has(self.nodes.registries) || self.nodes.registries.all(host, self.upstreams.exists(one, one.host == host))',
    message: 'nodes.registries has one that is none of the upstreams: write hosts of upstreams',
    fieldPath: '.nodes.registries',
  },
  {
    rule: `!${NODES_ENABLED} || !((has(self.auth) && has(self.auth.token)) || (has(self.tls.clientCAs) && self.tls.clientCAs.required))`,
    message:
      'nodes have no token and no certificate for the mirror: remove auth.token and tls.clientCAs, or nodes',
    fieldPath: '.nodes',
  },
  {
    rule: `!${NODES_ENABLED} || !has(self.auth) || self.auth.anonymous == 'Pull' || has(self.nodes.user)`,
    message:
      'asked for a password, nodes would send those of pods: set nodes.user, or auth.anonymous Pull, or remove auth',
    fieldPath: '.nodes',
  },
  {
    rule: '!has(self.nodes) || !has(self.nodes.user) || (has(self.auth) && has(self.auth.htpasswd) && self.auth.htpasswd.users.exists(one, one.name == self.nodes.user))',
    message: 'nodes.user is no user of auth.htpasswd.users: add it there, or write the name of another',
    fieldPath: '.nodes.user',
  },
  {
    rule: "!has(self.nodes) || !has(self.nodes.user) || self.tls.mode != 'Disabled'",
    message:
      'nodes would send the password of nodes.user over plain HTTP: set another tls.mode, or remove nodes.user',
    fieldPath: '.nodes.user',
  },
] as const satisfies readonly ValidationRule[];

export const registryMirrorSpec = {
  type: 'object',
  required: ['upstreams', 'storage'],
  description: 'What the mirror shall be.',
  properties: {
    upstreams,
    defaultUpstream: registryHost(
      'The host of the registry for clients that name none, such as docker with `registry-mirrors`. Without it they get 404.',
    ),
    hostname,
    cache,
    storage,
    tls,
    auth,
    service,
    nodes,
    podTemplate: mirrorPodTemplate,
    resources,
    networkPolicy,
    metrics: mirrorMetrics,
  },
  'x-kubernetes-validations': [...loginRules, ...mirrorRules],
} as const satisfies ObjectSchema;
