import {
  type MirroredHost,
  type NodePlan,
  type NodePlanEntry,
  type NodeRuntime,
  type RegistryHost,
  type TrustedHost,
} from '../contract/node-plan.ts';
import { hostsFileText } from './hosts-file.ts';
import { marked } from './marker.ts';

/** Read by containerd and, with its containerd image store, by docker. Nothing else in a folder decides where pulls go. */
export const HOSTS_FILE = 'hosts.toml';
/** No `.crt`: of that name it would be trusted for the registry itself. */
const MIRROR_CA = 'stevedore-mirror.pem';
const TRUSTED_CA: Readonly<Record<NodeRuntime, string>> = {
  Containerd: 'stevedore-trust.pem',
  // Docker takes every `*.crt`, beside those of others.
  Docker: 'stevedore-trust.crt',
};

/** The file that makes a runtime trust a registry: docker takes a certificate as it is. */
export function trustFile(runtime: NodeRuntime): string {
  return runtime === 'Docker' ? TRUSTED_CA.Docker : HOSTS_FILE;
}

export interface MirrorWant {
  readonly entry: NodePlanEntry;
  readonly mirror: MirroredHost;
}

export interface TrustWant {
  readonly entry: NodePlanEntry;
  readonly trust: TrustedHost;
}

/** What is wanted for one registry, and thus of one folder. */
export interface HostWants {
  readonly host: RegistryHost;
  readonly mirror?: MirrorWant;
  readonly trust?: TrustWant;
  /** What gives way, since another entry wants the same for the same host. */
  readonly beaten: readonly { readonly loser: NodePlanEntry; readonly winner: NodePlanEntry }[];
}

/** A file in the folder of a registry, as it must be. */
export interface DesiredFile {
  readonly name: string;
  readonly text: string;
  readonly mode: number;
}

/** What a plan wants of one runtime on one node, by registry. Of equals the first in the plan wins. */
export function wantsOf(plan: NodePlan, node: string, runtime: NodeRuntime): readonly HostWants[] {
  const wants = new Map<RegistryHost, Mutable<HostWants> & { beaten: HostWants['beaten'][number][] }>();
  const wantsOfHost = (host: RegistryHost) => {
    const found = wants.get(host) ?? { host, beaten: [] };
    wants.set(host, found);
    return found;
  };
  for (const entry of plan.entries) {
    if (!entry.runtimes.includes(runtime) || (entry.nodes !== 'all' && !entry.nodes.includes(node))) continue;
    for (const mirror of entry.hosts) {
      const found = wantsOfHost(mirror.host);
      if (found.mirror === undefined) found.mirror = { entry, mirror };
      else found.beaten.push({ loser: entry, winner: found.mirror.entry });
    }
    for (const trust of entry.trust) {
      const found = wantsOfHost(trust.host);
      if (found.trust === undefined) found.trust = { entry, trust };
      else found.beaten.push({ loser: entry, winner: found.trust.entry });
    }
  }
  return [...wants.values()];
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/**
 * The files of a registry's folder, in the order in which they may come to be: `hosts.toml` is last, since a runtime
 * fails every pull of a registry whose `hosts.toml` names a file that is not there.
 */
export function desiredFiles(
  runtime: NodeRuntime,
  host: RegistryHost,
  { mirror, trust }: { readonly mirror: MirrorWant | undefined; readonly trust: TrustWant | undefined },
): readonly DesiredFile[] {
  const mirrorCa = mirror?.entry.ca;
  const trustedCa = TRUSTED_CA[runtime];
  const files: DesiredFile[] = [];
  if (trust !== undefined) files.push(file(trustedCa, [trust.entry], trust.trust.ca));
  if (mirror !== undefined && mirrorCa !== undefined) files.push(file(MIRROR_CA, [mirror.entry], mirrorCa));
  if (mirror !== undefined || (trust !== undefined && trustFile(runtime) === HOSTS_FILE)) {
    const text = hostsFileText({
      server: mirror?.mirror.server ?? defaultServer(host),
      serverCa: trust === undefined ? undefined : trustedCa,
      mirror: mirror && { host: mirror.mirror, ca: mirrorCa === undefined ? undefined : MIRROR_CA },
    });
    const owners = [mirror, trust].flatMap((want) => want?.entry ?? []);
    files.push(file(HOSTS_FILE, owners, text, mirror?.mirror.header === undefined ? 0o644 : 0o600));
  }
  return files;
}

function file(name: string, owners: readonly NodePlanEntry[], text: string, mode = 0o644): DesiredFile {
  const whose = owners.map((owner) => `# ${describe(owner)}. Without the line above, it is left as it is.\n`);
  return {
    name,
    text: marked(
      owners.map(({ id }) => id),
      `${whose.join('')}${text}`,
    ),
    mode,
  };
}

/** As people know it: `RegistryMirror team/cache`. */
export function describe({ kind, namespace, name }: NodePlanEntry): string {
  return `${kind} ${namespace}/${name}`;
}

function defaultServer(host: RegistryHost): string {
  return host === 'docker.io' ? 'https://registry-1.docker.io' : `https://${host}`;
}
