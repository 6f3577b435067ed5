import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'smol-toml';
import { isCertificateBundle } from '../../../src/contract/node-plan.ts';

/**
 * What containerd makes of a folder for one registry, by the rules that its source has (remotes/docker/config/hosts.go):
 * the first folder that exists counts; a `hosts.toml`
 * that can't be read is as good as none, and 1.x can't read one without a table `host`; a `ca` that is missing or
 * holds no certificate fails every pull of that registry.
 */
export type ContainerdView =
  | { readonly pulls: 'broken'; readonly why: string }
  | { readonly pulls: 'direct'; readonly trusts: readonly string[] }
  | { readonly pulls: 'mirror'; readonly endpoints: readonly string[]; readonly trusts: readonly string[] };

export function containerdView(root: string, host: string): ContainerdView {
  const folder = [host.replace(/:(\d+)$/, '_$1_'), host, '_default']
    .map((name) => join(root, name))
    .find((path) => existsSync(path));
  if (folder === undefined) return { pulls: 'direct', trusts: [] };
  const file = join(folder, 'hosts.toml');
  if (!existsSync(file)) {
    const certificates = readdirSync(folder).filter((name) => name.endsWith('.crt'));
    return { pulls: 'direct', trusts: certificates.map((name) => readFileSync(join(folder, name), 'utf8')) };
  }
  const hosts = parsed(readFileSync(file, 'utf8'));
  if (hosts?.host === undefined) return { pulls: 'direct', trusts: [] };
  const trusts: string[] = [];
  for (const { ca } of [hosts, ...Object.values(hosts.host)]) {
    if (ca === undefined) continue;
    const path = join(folder, ca);
    if (!existsSync(path)) return { pulls: 'broken', why: `${path} is missing` };
    const text = readFileSync(path, 'utf8');
    if (!isCertificateBundle(text)) return { pulls: 'broken', why: `${path} holds no certificate` };
    trusts.push(text);
  }
  const endpoints = Object.keys(hosts.host);
  return endpoints.length > 0 ? { pulls: 'mirror', endpoints, trusts } : { pulls: 'direct', trusts };
}

interface HostsToml {
  readonly ca?: string;
  readonly host?: Readonly<Record<string, { readonly ca?: string }>>;
}

function parsed(text: string): HostsToml | undefined {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}
