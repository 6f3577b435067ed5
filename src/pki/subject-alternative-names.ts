import { isIP } from 'node:net';

/** The names that a certificate is good for: each list sorted, without repetition, and normalized. */
export interface SubjectAlternativeNames {
  /** Lower case; the first label may be `*`. */
  readonly dnsNames: readonly string[];
  /** IPv4 in four decimals, IPv6 as RFC 5952 writes it. */
  readonly ipAddresses: readonly string[];
}

/** What a registry is reached by. */
export interface ServedNames {
  /** `registry.example.com:5000`, `[fd00::1]:5000`; the port is left out. */
  readonly hostname?: string;
  readonly service: { readonly name: string; readonly namespace: string };
  /** `spec.clusterIPs` of the Service; `None` is left out. */
  readonly clusterIPs: readonly string[];
  /** The addresses and names that a load balancer has. */
  readonly loadBalancers: readonly string[];
  /** What the user asks for besides. */
  readonly extra: readonly string[];
}

/** Every name that a client may connect by. DNS inside the cluster ends in `cluster.local`. */
export function servedSubjectAlternativeNames(served: ServedNames): SubjectAlternativeNames {
  return subjectAlternativeNames([
    ...(served.hostname === undefined ? [] : [withoutPort(served.hostname)]),
    ...serviceNames(served.service),
    ...served.clusterIPs.filter((address) => address !== 'None' && address !== ''),
    ...served.loadBalancers,
    ...served.extra,
  ]);
}

/** Every name that a Service has inside the cluster. */
export function serviceNames({ name, namespace }: ServedNames['service']): readonly string[] {
  return [name, `${name}.${namespace}`, `${name}.${namespace}.svc`, `${name}.${namespace}.svc.cluster.local`];
}

/**
 * Sorts names and addresses into the two kinds.
 *
 * @throws {TypeError} when one is neither a DNS name nor an IP address
 */
export function subjectAlternativeNames(namesAndAddresses: Iterable<string>): SubjectAlternativeNames {
  const dnsNames = new Set<string>();
  const ipAddresses = new Set<string>();
  for (const text of namesAndAddresses) {
    const address = normalizedIpAddress(text);
    if (address !== undefined) ipAddresses.add(address);
    else dnsNames.add(normalizedDnsName(text));
  }
  return { dnsNames: [...dnsNames].sort(), ipAddresses: [...ipAddresses].sort() };
}

/** Whether two certificates with these names would be good for the same. */
export function sameNames(one: SubjectAlternativeNames, other: SubjectAlternativeNames): boolean {
  return one.dnsNames.join() === other.dnsNames.join() && one.ipAddresses.join() === other.ipAddresses.join();
}

/**
 * The one way to write an IP address, or undefined when `text` is none. An IPv4 address mapped into IPv6 is written
 * as IPv4, as TLS clients compare it. An address with a zone (`fe80::1%eth0`) means nothing in a certificate: none.
 */
export function normalizedIpAddress(text: string): string | undefined {
  const version = isIP(text);
  if (version === 4) return text;
  if (version !== 6 || text.includes('%')) return undefined;
  // A URL's host is written as RFC 5952 says, but for mapped addresses.
  const compressed = new URL(`http://[${text}]`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(compressed);
  if (!mapped) return compressed;
  const [high, low] = [mapped[1], mapped[2]].map((group) => Number.parseInt(group ?? '', 16));
  return [high, low].flatMap((group = 0) => [group >> 8, group & 0xff]).join('.');
}

/** The bytes of a normalized address, as a certificate holds them: 4 or 16. */
export function ipAddressBytes(address: string): Uint8Array {
  if (isIP(address) === 4) return Uint8Array.from(address.split('.'), Number);
  const [head = '', tail] = address.split('::');
  const left = groups(head);
  const right = groups(tail ?? '');
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => 0);
  return Uint8Array.from([...left, ...zeros, ...right].flatMap((group) => [group >> 8, group & 0xff]));
}

function groups(text: string): readonly number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
}

const DNS_NAME =
  /^(?:\*\.)?(?:[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)(?:\.[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)*$/;

function normalizedDnsName(text: string): string {
  const name = text.toLowerCase();
  if (name.length > 253 || !DNS_NAME.test(name)) {
    throw new TypeError(`${JSON.stringify(text)} is neither a DNS name nor an IP address`);
  }
  return name;
}

function withoutPort(hostname: string): string {
  const bracketed = /^\[(.*)\](?::\d+)?$/.exec(hostname);
  return bracketed?.[1] ?? hostname.replace(/:\d+$/, '');
}
