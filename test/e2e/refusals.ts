import { API_VERSION } from '../../src/api/names.ts';
import { mirrorAcceptances, mirrorRefusals } from './mirror-refusals.ts';
import { securityRefusals } from './security-refusals.ts';

/** A mistake that the API server must refuse, and what it must say. */
export interface Refusal {
  /** A sentence: what is refused. */
  readonly title: string;
  /** What is there before, when the mistake is in a change. */
  readonly before?: Manifest;
  readonly manifest: Manifest;
  /** A part of the API server's message. */
  readonly message: string;
}

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: 'Registry' | 'RegistryMirror' | 'RegistryGC';
  readonly metadata: { readonly name: string };
  readonly spec: object;
}

const size = { filesystem: { size: '1Gi' } };

function registry(spec: object, name = 'refused'): Manifest {
  return {
    apiVersion: API_VERSION,
    kind: 'Registry',
    metadata: { name },
    spec: { storage: size, ...spec },
  };
}

function filesystem(fields: object): Manifest {
  return registry({ storage: { filesystem: fields } });
}

function registryGC(spec: object, name = 'refused'): Manifest {
  return {
    apiVersion: API_VERSION,
    kind: 'RegistryGC',
    metadata: { name },
    spec: { registryRef: { name: 'registry' }, ...spec },
  };
}

function user(name: string, passwordSecretRef: object = { name: 'users' }): object {
  return { name, passwordSecretRef };
}

const secret = { credentialsSecretRef: { name: 'cloud' } };
const swift = { authURL: 'https://keystone.example.com:5000/v3', container: 'images', ...secret };
const oss = { bucket: 'images', region: 'oss-cn-hangzhou', ...secret };

function s3(fields: object): Manifest {
  return registry({ storage: { s3: { bucket: 'images', region: 'eu-central-1', ...fields } } });
}

function notified(fields: object): Manifest {
  return registry({ notifications: [{ name: 'hook', url: 'https://hooks.example.com/', ...fields }] });
}

/** What makes out where content lies, changed or taken away. */
const changesOfPlace: readonly Refusal[] = (
  [
    ['bucket', 's3', { bucket: 'images', region: 'eu-central-1' }, { bucket: 'others' }],
    ['rootDirectory', 's3', { bucket: 'images', region: 'eu-central-1' }, { rootDirectory: 'deeper' }],
    ['accountName', 'azure', { accountName: 'one', container: 'images' }, { accountName: 'two' }],
    ['container', 'azure', { accountName: 'one', container: 'images' }, { container: 'others' }],
    ['rootDirectory', 'azure', { accountName: 'one', container: 'images' }, { rootDirectory: 'deeper' }],
    ['bucket', 'gcs', { bucket: 'images' }, { bucket: 'others' }],
    ['rootDirectory', 'gcs', { bucket: 'images' }, { rootDirectory: 'deeper' }],
    ['container', 'swift', swift, { container: 'others' }],
    ['prefix', 'swift', swift, { prefix: 'deeper' }],
    ['bucket', 'oss', oss, { bucket: 'others' }],
    ['rootDirectory', 'oss', oss, { rootDirectory: 'deeper' }],
  ] as const
).map(([field, kind, place, change]) => ({
  title: `Another ${field} of ${kind} is refused.`,
  before: registry({ storage: { [kind]: place } }),
  manifest: registry({ storage: { [kind]: { ...place, ...change } } }),
  message: `${field} cannot change: make a second Registry and copy the images to it with stevedore copy`,
}));

const refusalsOfOthers: readonly Refusal[] = [
  {
    title: 'A Registry without storage is refused.',
    manifest: registry({ storage: undefined }),
    message: 'spec.storage: Required value',
  },
  {
    title: 'A Registry whose storage names no kind is refused.',
    manifest: registry({ storage: {} }),
    message: 'set exactly one of filesystem, s3, azure, gcs, swift, oss and ephemeral',
  },
  {
    title: 'A Registry whose name cannot be a Service is refused.',
    manifest: registry({}, '9lives'),
    message: 'the Service is named like the Registry: choose a name of at most 50',
  },
  {
    title: 'A Registry with too long a name is refused.',
    manifest: registry({}, 'a'.repeat(51)),
    message: 'the Service is named like the Registry: choose a name of at most 50',
  },
  {
    title: 'A hostname with a scheme is refused.',
    manifest: registry({ hostname: 'https://registry.example.com' }),
    message: 'not a host name: write a lower-case DNS name',
  },
  {
    title: 'A hostname with a port that does not exist is refused.',
    manifest: registry({ hostname: 'registry.example.com:65536' }),
    message: 'not a host name: write a lower-case DNS name',
  },
  {
    title: 'A hostname in upper case is refused.',
    manifest: registry({ hostname: 'Registry.example.com' }),
    message: 'not a host name: write a lower-case DNS name',
  },
  {
    title: 'A hostname with brackets around no address is refused.',
    manifest: registry({ hostname: '[1:2]:5000' }),
    message: 'in brackets stands an IPv6 address, such as [fd00::5]:5000: correct it, or write a name',
  },
  {
    title: 'A hostname that clients would look up on Docker Hub is refused.',
    manifest: registry({ hostname: 'registry' }),
    message: 'clients take a name without a dot or a port for a path on Docker Hub',
  },
  {
    title: 'A filesystem with neither size nor claim is refused.',
    manifest: filesystem({}),
    message: 'set exactly one of size, for a new claim, and existingClaim',
  },
  {
    title: 'A filesystem with both size and claim is refused.',
    manifest: filesystem({ size: '1Gi', existingClaim: 'images' }),
    message: 'set exactly one of size, for a new claim, and existingClaim',
  },
  {
    title: 'An existing claim with a storage class is refused.',
    manifest: filesystem({ existingClaim: 'images', storageClassName: 'fast' }),
    message: 'an existing claim has its storage class already: remove storageClassName',
  },
  {
    title: 'An existing claim that shall be deleted is refused.',
    manifest: filesystem({ existingClaim: 'images', deletionPolicy: 'Delete' }),
    message: 'an existing claim is never deleted: use deletionPolicy Retain',
  },
  {
    title: 'A size that is no quantity is refused.',
    manifest: filesystem({ size: '10 GB' }),
    message: 'not a size: write a number of bytes, perhaps with a unit, such as 20Gi',
  },
  {
    title: 'A size of nothing is refused.',
    manifest: filesystem({ size: 0 }),
    message: 'size must be more than nothing: write a quantity such as 20Gi',
  },
  {
    title: 'A size that shrinks is refused, also in another unit.',
    before: filesystem({ size: '2Gi' }),
    manifest: filesystem({ size: '2047Mi' }),
    message: 'a volume cannot shrink: write the old size or a larger one, or make a second Registry',
  },
  {
    title: 'An existing claim that is exchanged is refused.',
    before: filesystem({ existingClaim: 'images' }),
    manifest: filesystem({ existingClaim: 'others' }),
    message: 'existingClaim cannot change: make a second Registry and copy the images to it',
  },
  {
    title: 'A new claim in place of an existing one is refused.',
    before: filesystem({ existingClaim: 'images' }),
    manifest: filesystem({ size: '1Gi' }),
    message: 'existingClaim cannot change: make a second Registry and copy the images to it',
  },
  {
    title: 'A storage class that is added later is refused.',
    before: filesystem({ size: '1Gi' }),
    manifest: filesystem({ size: '1Gi', storageClassName: 'fast' }),
    message: 'storageClassName cannot change: make a second Registry and copy the images to it',
  },
  {
    title: 'Access modes that change are refused.',
    before: filesystem({ size: '1Gi' }),
    manifest: filesystem({ size: '1Gi', accessModes: ['ReadWriteMany'] }),
    message: 'accessModes cannot change: make a second Registry and copy the images to it',
  },
  {
    title: 'An access mode that is not known is refused.',
    manifest: filesystem({ size: '1Gi', accessModes: ['ReadOnlyMany'] }),
    message: 'supported values: "ReadWriteOnce", "ReadWriteMany"',
  },
  {
    title: 'Storage of two kinds is refused.',
    manifest: registry({ storage: { ...size, ephemeral: {} } }),
    message: 'set exactly one of filesystem, s3, azure, gcs, swift, oss and ephemeral',
  },
  {
    title: 'Another kind of storage is refused.',
    before: registry({}),
    manifest: s3({}),
    message:
      'the kind of storage cannot change: make a second Registry and copy the images to it with stevedore copy',
  },
  {
    title: 'A bucket of Amazon S3 without a region is refused.',
    manifest: registry({ storage: { s3: { bucket: 'images' } } }),
    message: 'set region for Amazon S3, or endpoint for another store',
  },
  {
    title: 'A key of a KMS without encryption is refused.',
    manifest: s3({ kmsKeyID: 'alias/images' }),
    message: 'a key is for encryption: write encrypt true, or remove kmsKeyID',
  },
  {
    title: 'A bucket with a folder in its name is refused.',
    manifest: s3({ bucket: 'images/registry' }),
    message: "not the name of a bucket or container: use letters, digits, '-', '_' and '.'",
  },
  {
    title: 'An endpoint with a password is refused.',
    manifest: s3({ endpoint: 'https://me:secret@minio.example.com' }),
    message: 'not an endpoint: write a URL such as https://store.example.com:9000',
  },
  ...changesOfPlace,
  ...securityRefusals,
  {
    title: 'Several replicas on a volume that one node mounts are refused.',
    manifest: registry({ replicas: 2 }),
    message: 'several replicas need storage that all of them reach: use a bucket',
  },
  {
    title: 'Several replicas on ephemeral storage are refused.',
    before: registry({ storage: { ephemeral: {} } }),
    manifest: registry({ storage: { ephemeral: {} }, replicas: 3 }),
    message: 'several replicas need storage that all of them reach: use a bucket',
  },
  {
    title: 'An annotation by which the controller of an Ingress would run what it says is refused.',
    manifest: registry({
      hostname: 'registry.example.com',
      ingress: { annotations: { 'nginx.ingress.kubernetes.io/server-snippet': 'return 200;' } },
    }),
    message: 'annotations that configure the controller itself or name Secrets are for administrators',
  },
  {
    title: 'An annotation that would choose the image of a sidecar is refused.',
    manifest: registry({ podTemplate: { annotations: { 'sidecar.istio.io/proxyImage': 'mine' } } }),
    message: 'annotations that choose images, volumes or security profiles of a pod are for administrators',
  },
  {
    title: 'A variable of the environment that is no proxy is refused.',
    manifest: registry({ podTemplate: { env: [{ name: 'NODE_OPTIONS', value: '--require=x' }] } }),
    message: 'supported values: "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"',
  },
  {
    title: 'A cache in Redis without a Redis is refused.',
    manifest: registry({ cache: { blobDescriptor: 'Redis' } }),
    message: 'set redis with blobDescriptor Redis, and with no other',
  },
  {
    title: 'An address of Redis without a port is refused.',
    manifest: registry({ cache: { blobDescriptor: 'Redis', redis: { addresses: ['redis'] } } }),
    message: 'not an address: write host:port, such as redis.cache.svc:6379',
  },
  {
    title: 'A webhook with a password in its URL is refused.',
    manifest: notified({ url: 'https://me:secret@hooks.example.com/' }),
    message: 'not a URL: write one with http:// or https:// and without user and password',
  },
  {
    title: 'A class of a load balancer without one is refused.',
    manifest: registry({ service: { type: 'NodePort', loadBalancerClass: 'example.com/inner' } }),
    message: 'only a load balancer has a class and source ranges: use type LoadBalancer',
  },
  {
    title: 'A class of a load balancer that changes is refused.',
    before: registry({ service: { type: 'LoadBalancer', loadBalancerClass: 'example.com/inner' } }),
    manifest: registry({ service: { type: 'LoadBalancer', loadBalancerClass: 'example.com/outer' } }),
    message: 'loadBalancerClass cannot change while there is a load balancer: use another type first',
  },
  {
    title: 'A source range that is an address is refused.',
    manifest: registry({ service: { type: 'LoadBalancer', loadBalancerSourceRanges: ['192.0.2.7'] } }),
    message: 'not a network: write an address and the length of its prefix, such as 192.0.2.0/24',
  },
  {
    title: 'A way of traffic from outside into a Service inside the cluster is refused.',
    manifest: registry({ service: { externalTrafficPolicy: 'Local' } }),
    message: 'nobody from outside comes to a Service of type ClusterIP: remove externalTrafficPolicy',
  },
  {
    title: 'An Ingress without a host is refused.',
    manifest: registry({ ingress: {} }),
    message: 'an Ingress or a route is for a host: set hostname to the name that clients use',
  },
  {
    title: 'A TLSRoute without TLS is refused.',
    manifest: registry({
      hostname: 'registry.example.com',
      tls: { mode: 'Disabled' },
      gateway: { kind: 'TLSRoute', parentRefs: [{ name: 'outer' }] },
    }),
    message: 'a TLSRoute passes TLS through and there is none: use kind HTTPRoute, or TLS',
  },
  {
    title: 'A peer in the network that is nobody is refused.',
    manifest: registry({ networkPolicy: { clients: [{}] } }),
    message: 'set cidr, or labels of namespaces and pods, and not both',
  },
  {
    title: 'A peer in the network that is an address is refused.',
    manifest: registry({ networkPolicy: { clients: [{ cidr: '10.0.0.1' }] } }),
    message: 'not a network: write an address and the length of its prefix, such as 192.0.2.0/24',
  },
  {
    title: 'Alerts without metrics are refused.',
    manifest: registry({ metrics: { prometheusRule: {} } }),
    message: 'alerts are about metrics that are read: add serviceMonitor, or remove prometheusRule',
  },
  {
    title: 'An address among the DNS names is refused.',
    manifest: registry({ tls: { dnsNames: ['fd00::1'] } }),
    message:
      'not a DNS name: write it in lower case without port and scheme; addresses belong in ipAddresses',
  },
  {
    title: 'A wildcard in the middle of a DNS name is refused.',
    manifest: registry({ tls: { dnsNames: ['a.*.example.com'] } }),
    message: 'not a DNS name: write it in lower case',
  },
  {
    title: 'A name among the IP addresses is refused.',
    manifest: registry({ tls: { ipAddresses: ['registry.example.com'] } }),
    message: 'not an IP address: write one IPv4 or IPv6 address',
  },
  {
    title: 'A network among the IP addresses is refused.',
    manifest: registry({ tls: { ipAddresses: ['10.0.0.0/8'] } }),
    message: 'not an IP address: write one IPv4 or IPv6 address',
  },
  {
    title: 'A duration without a unit is refused.',
    manifest: registry({ tls: { duration: '90' } }),
    message: 'not a duration: write numbers with the units h, m, s or ms in this order',
  },
  {
    title: 'A duration in days is refused.',
    manifest: registry({ tls: { duration: '90d' } }),
    message: 'not a duration: write numbers with the units h, m, s or ms in this order',
  },
  {
    title: 'A certificate for less than an hour is refused.',
    manifest: registry({ tls: { duration: '59m' } }),
    message: 'a certificate is valid for an hour to a year: write a duration from 1h to 8760h',
  },
  {
    title: 'A certificate for more than a year is refused.',
    manifest: registry({ tls: { duration: '8761h' } }),
    message: 'a certificate is valid for an hour to a year: write a duration from 1h to 8760h',
  },
  {
    title: 'A certificate that would be renewed all the time is refused.',
    manifest: registry({ tls: { duration: '24h', renewBefore: '1440m' } }),
    message: 'renewBefore must be at least 5m and shorter than duration: make it shorter, or remove it',
  },
  {
    title: 'A user name with a colon is refused.',
    manifest: registry({ auth: { htpasswd: { users: [user('alice:admin')] } } }),
    message: "not a user name: use visible ASCII characters without ':' and blanks",
  },
  {
    title: 'A user name that htpasswd would read as a comment is refused.',
    manifest: registry({ auth: { htpasswd: { users: [user('#alice')] } } }),
    message: "not a user name: use visible ASCII characters without ':' and blanks",
  },
  {
    title: 'A name of a Secret in upper case is refused.',
    manifest: registry({ auth: { htpasswd: { users: [user('alice', { name: 'Users' })] } } }),
    message: 'not the name of an object: use lower-case letters',
  },
  {
    title: 'A key of a Secret with a slash is refused.',
    manifest: registry({ auth: { htpasswd: { users: [user('alice', { name: 'users', key: 'a/b' })] } } }),
    message: 'not a key of a Secret: use letters, digits',
  },
  {
    title: 'A user who is there twice is refused.',
    manifest: registry({ auth: { htpasswd: { users: [user('alice'), user('alice')] } } }),
    message: 'Duplicate value: {"name":"alice"}',
  },
  {
    title: 'A node port of a Service inside the cluster is refused.',
    manifest: registry({ service: { nodePort: 30500 } }),
    message: 'a Service of type ClusterIP has no node port: remove nodePort, or use type NodePort',
  },
  {
    title: 'Resources that are no quantities are refused.',
    manifest: registry({ resources: { limits: { memory: 'lots' } } }),
    message: 'not a quantity: write a number and perhaps a unit',
  },
  {
    title: 'A RegistryGC of no Registry is refused.',
    manifest: registryGC({ registryRef: undefined }),
    message: 'spec.registryRef: Required value',
  },
  {
    title: 'A RegistryGC whose name leaves no room for those of its Jobs is refused.',
    manifest: registryGC({}, 'a'.repeat(51)),
    message: 'Jobs are named after the RegistryGC: choose a name of at most 50',
  },
  {
    title: 'A RegistryGC that moves to another Registry is refused.',
    before: registryGC({}),
    manifest: registryGC({ registryRef: { name: 'another' } }),
    message: 'registryRef cannot change: make another RegistryGC for the other Registry',
  },
  {
    title: 'A schedule of six fields is refused.',
    manifest: registryGC({ schedule: '0 0 3 * * *' }),
    message: "not a schedule: write five fields such as '0 3 * * *', or @daily",
  },
  {
    title: 'A schedule with a time zone in it is refused.',
    manifest: registryGC({ schedule: 'TZ=Europe/Rome 0 3 * * *' }),
    message: 'a time zone belongs in timeZone',
  },
  {
    title: 'A time zone with a blank is refused.',
    manifest: registryGC({ schedule: '@daily', timeZone: 'Rome time' }),
    message: 'not a time zone: write a name of the IANA database',
  },
  {
    title: 'A time zone without a schedule is refused.',
    manifest: registryGC({ timeZone: 'Europe/Rome' }),
    message: 'a time zone needs a schedule: add schedule, or remove timeZone',
  },
  {
    title: 'An age that is negative is refused.',
    manifest: registryGC({ minimumAge: '-2h' }),
    message: 'not a duration: write numbers with the units h, m, s or ms in this order',
  },
  {
    title: 'A rule of retention that keeps nothing is refused.',
    manifest: registryGC({ retention: [{ repositories: ['**'], keepTags: {} }] }),
    message: 'without a condition every tag would be deleted: add patterns, mostRecent',
  },
  {
    title: 'A rule of retention for no repository that can be is refused.',
    manifest: registryGC({ retention: [{ repositories: ['Team/*'], keepTags: { mostRecent: 3 } }] }),
    message: 'not a pattern of repositories: write lower-case names',
  },
  {
    title: 'A rule of retention for no tag that can be is refused.',
    manifest: registryGC({ retention: [{ repositories: ['**'], keepTags: { patterns: ['v?'] } }] }),
    message: 'not a pattern of tags: write names in which * stands for anything',
  },
  {
    title: 'A run that would spend all its time waiting is refused.',
    manifest: registryGC({ drainTimeout: '10m', activeDeadlineSeconds: 600 }),
    message: 'make drainTimeout shorter than activeDeadlineSeconds',
  },
];

/** Every rule of every kind is here at least once; a unit test holds that. */
export const refusals: readonly Refusal[] = [...refusalsOfOthers, ...mirrorRefusals(refusalsOfOthers)];

/** Changes and corner cases that must go through, so that the rules above do not refuse too much. */
export const acceptances: readonly Omit<Refusal, 'message'>[] = [
  ...mirrorAcceptances,
  {
    title: 'A size may grow, and be written in another unit.',
    before: filesystem({ size: '1Gi' }),
    manifest: filesystem({ size: '2048Mi' }),
  },
  {
    title: 'An existing claim alone is enough.',
    manifest: filesystem({ existingClaim: 'images' }),
  },
  {
    title: 'The deletion policy, TLS, users and Service may change.',
    before: registry({}),
    manifest: registry({
      hostname: '[fd00::5]:5000',
      storage: { filesystem: { size: '1Gi', deletionPolicy: 'Delete' } },
      tls: { dnsNames: ['*.example.com'], ipAddresses: ['10.0.0.1', 'FD00::1'], renewBefore: '1h30m' },
      auth: { htpasswd: { users: [] } },
      service: { type: 'LoadBalancer', port: 443, nodePort: 30500, annotations: { 'example.com/pool': 'a' } },
      delete: false,
      readOnly: true,
      resources: { requests: { cpu: '250m', memory: '1.5Gi' }, limits: { cpu: 2 } },
    }),
  },
  {
    title: 'Credentials, endpoint, region and class of storage may change in a bucket.',
    before: s3({ rootDirectory: 'images' }),
    manifest: s3({
      rootDirectory: 'images',
      region: 'eu-west-1',
      endpoint: 'http://[fd00::7]:7480/',
      encrypt: true,
      kmsKeyID: 'alias/images',
      storageClass: 'STANDARD_IA',
      ...secret,
    }),
  },
  {
    title: 'Replicas may be any number on a bucket, and on a volume that all nodes mount.',
    before: registry({ storage: { gcs: { bucket: 'images' } } }),
    manifest: registry({ storage: { gcs: { bucket: 'images' } }, replicas: 3 }),
  },
  {
    title: 'A claim that is there already may be one for several replicas.',
    manifest: registry({ storage: { filesystem: { existingClaim: 'images' } }, replicas: 2 }),
  },
  {
    title: 'A Registry may stop.',
    before: registry({}),
    manifest: registry({ replicas: 0 }),
  },
  {
    title: 'Everything about pods, server and network goes together.',
    manifest: registry({
      hostname: 'registry.example.com',
      storage: { swift },
      replicas: 2,
      podTemplate: {
        labels: { team: 'images' },
        annotations: { 'example.com/scrape': 'no' },
        affinity: { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [] } },
        tolerations: [{ key: 'images', operator: 'Exists' }],
        topologySpreadConstraints: [{ topologyKey: 'topology.kubernetes.io/zone' }],
        serviceAccountName: 'images',
        env: [{ name: 'HTTPS_PROXY', value: 'http://proxy:3128' }],
        trustedCAs: { name: 'cas' },
      },
      service: {
        type: 'LoadBalancer',
        externalTrafficPolicy: 'Local',
        loadBalancerSourceRanges: ['192.0.2.0/24', 'fd00::/8'],
      },
      ingress: { className: 'nginx' },
      gateway: { parentRefs: [{ name: 'outer', namespace: 'infra' }] },
      networkPolicy: { clients: [{ cidr: '10.0.0.0/8' }, { namespaceLabels: { team: 'a' } }] },
      metrics: { serviceMonitor: { interval: '30s' }, prometheusRule: { readOnlyFor: '2h' } },
      cache: { blobDescriptor: 'Redis', redis: { addresses: ['redis:6379', '[fd00::1]:6379'] } },
      health: { interval: '5s' },
      maintenance: { uploadPurging: { age: '48h' } },
      log: { level: 'debug', fields: { cluster: 'a' } },
      notifications: [{ name: 'hook', url: 'http://hooks/events?from=registry' }],
      config: { tags: { maxtags: 50 }, validation: { enabled: true } },
    }),
  },
  {
    title: 'TLS may be switched off.',
    before: registry({ tls: { dnsNames: ['registry.example.com'] } }),
    manifest: registry({ tls: { mode: 'Disabled' } }),
  },
  {
    title: 'A RegistryGC runs at once with no age and no grace.',
    manifest: registryGC({ minimumAge: '0s', trashGrace: '0', drainTimeout: '1500ms' }),
  },
  {
    title: 'Rules of retention may have all their conditions.',
    manifest: registryGC({
      retention: [
        {
          repositories: ['team/*', '**/cache'],
          keepTags: { patterns: ['v*', 'latest'], mostRecent: 5, pushedWithin: '720h', pulledWithin: '168h' },
        },
      ],
    }),
  },
  {
    title: 'A schedule may change, with names of days and a macro.',
    before: registryGC({ schedule: '*/15 1-5 * JAN-MAR mon,fri', timeZone: 'America/Argentina/Ushuaia' }),
    manifest: registryGC({ schedule: '@daily' }),
  },
];
