import { API_VERSION } from '../../src/api/names.ts';

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
  readonly kind: 'Registry' | 'RegistryGC';
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

/** Every rule of every kind is here at least once; a unit test holds that. */
export const refusals: readonly Refusal[] = [
  {
    title: 'A Registry without storage is refused.',
    manifest: registry({ storage: undefined }),
    message: 'spec.storage: Required value',
  },
  {
    title: 'A Registry whose storage names no kind is refused.',
    manifest: registry({ storage: {} }),
    message: 'spec.storage.filesystem: Required value',
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
    title: 'A mode of TLS that is not known is refused.',
    manifest: registry({ tls: { mode: 'Off' } }),
    message: 'supported values: "Managed", "Disabled"',
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
    title: 'Names for a certificate that TLS Disabled never makes are refused.',
    manifest: registry({ tls: { mode: 'Disabled', dnsNames: ['registry.example.com'] } }),
    message: 'without TLS there is no certificate: remove dnsNames, ipAddresses and renewBefore, or use mode',
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
    title: 'A user without a password is refused.',
    manifest: registry({ auth: { htpasswd: { users: [{ name: 'alice' }] } } }),
    message: 'spec.auth.htpasswd.users[0].passwordSecretRef: Required value',
  },
  {
    title: 'Authentication of no kind is refused.',
    manifest: registry({ auth: {} }),
    message: 'spec.auth.htpasswd: Required value',
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
    title: 'A run that would spend all its time waiting is refused.',
    manifest: registryGC({ drainTimeout: '10m', activeDeadlineSeconds: 600 }),
    message: 'make drainTimeout shorter than activeDeadlineSeconds',
  },
];

/** Changes and corner cases that must go through, so that the rules above do not refuse too much. */
export const acceptances: readonly Omit<Refusal, 'message'>[] = [
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
    title: 'TLS may be switched off.',
    before: registry({ tls: { dnsNames: ['registry.example.com'] } }),
    manifest: registry({ tls: { mode: 'Disabled' } }),
  },
  {
    title: 'A RegistryGC runs at once with no age and no grace.',
    manifest: registryGC({ minimumAge: '0s', trashGrace: '0', drainTimeout: '1500ms' }),
  },
  {
    title: 'A schedule may change, with names of days and a macro.',
    before: registryGC({ schedule: '*/15 1-5 * JAN-MAR mon,fri', timeZone: 'America/Argentina/Ushuaia' }),
    manifest: registryGC({ schedule: '@daily' }),
  },
];
