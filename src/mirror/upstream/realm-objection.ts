import { BlockList, isIP } from 'node:net';
import { getDomain } from 'tldts';

/** Addresses within a machine, a network or a cloud: no registry on the internet has reason to send anybody there. */
const inner = new BlockList();
for (const [network, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
] as const) {
  inner.addSubnet(network, bits, 'ipv4');
}
for (const [network, bits] of [
  ['::', 127],
  ['fc00::', 7],
  ['fe80::', 10],
] as const) {
  inner.addSubnet(network, bits, 'ipv6');
}

/**
 * Why the token server that an upstream names may not be asked; undefined when it may. An upstream that could choose it
 * freely would be given the credentials for another, or a way into the network of the mirror.
 * @param realmHosts token servers that whoever runs the mirror has named, with or without a port.
 */
export function realmObjection(
  upstream: URL,
  realmHosts: readonly string[],
  realm: URL,
  withCredentials: boolean,
): string | undefined {
  if (realm.protocol !== 'https:' && realm.protocol !== 'http:') return 'it is not HTTP';
  if (withCredentials && upstream.protocol === 'https:' && realm.protocol !== 'https:') {
    return 'the credentials would go over plain HTTP';
  }
  if (
    realm.host === upstream.host ||
    realmHosts.some((host) => [realm.host, realm.hostname].includes(host))
  ) {
    return undefined;
  }
  if (isInner(realm.hostname)) return 'its address is an inner one';
  if (!withCredentials || haveSameOwner(upstream.hostname, realm.hostname)) return undefined;
  return `the credentials are for ${upstream.host}; if it is meant to have them, name it in realmhosts`;
}

function isInner(hostname: string): boolean {
  if (hostname === 'localhost' || hostname.endsWith('.localhost')) return true;
  const address = hostname.replace(/^\[(.*)\]$/, '$1');
  const family = isIP(address);
  return family !== 0 && inner.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

/** Two names within what one may register: `auth.docker.io` and `registry-1.docker.io`, not two accounts of one host. */
function haveSameOwner(one: string, other: string): boolean {
  const domain = getDomain(one, { allowPrivateDomains: true });
  return domain !== null && domain === getDomain(other, { allowPrivateDomains: true });
}
