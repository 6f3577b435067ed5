import type { NodePlanEntry, RegistryHost } from '../contract/node-plan.ts';
import type { NodeState } from '../contract/node-report.ts';
import { bring, obstacleOf, type CertsFolder, type CertsLook } from './certs-folder.ts';
import {
  describe,
  desiredFiles,
  HOSTS_FILE,
  trustFile,
  type HostWants,
  type MirrorWant,
  type TrustWant,
} from './desired-files.ts';
import { ownersOf } from './marker.ts';
import type { MirrorWatch } from './mirror-watch.ts';
import type { ProbeTarget } from './probe.ts';

/** What tending the folder of one registry works with. */
export interface HostTools {
  readonly certs: CertsFolder;
  readonly look: CertsLook;
  readonly mirrors: Pick<MirrorWatch, 'healthOf'>;
  /** Which mirrors were in use on this node since the agent began. */
  readonly used: Set<string>;
}

/** What became of what a resource wants for a registry. */
export interface Verdict {
  readonly id: string;
  readonly state: NodeState;
  readonly message?: string;
}

/** Brings the folder of a registry to what is wanted of it, as far as nobody else has something there. */
export async function tendHost(tools: HostTools, wants: HostWants): Promise<readonly Verdict[]> {
  const { certs, look } = tools;
  const { host, mirror, trust, beaten } = wants;
  const trusting = trust && judgeTrust(tools, host, trust);
  const usableTrust = trusting?.state === 'Applied' ? trust : undefined;
  const mirroring = mirror && judgeMirror(tools, host, mirror, usableTrust);
  const desired = desiredFiles(certs.runtime, host, {
    mirror: mirroring?.use === 'Use' ? mirror : undefined,
    trust: usableTrust,
  });
  const verdicts = [...(mirroring ? [mirroring.verdict] : []), ...(trusting ? [trusting] : [])];
  const lost = beaten.map(({ loser, winner }) => ({
    id: loser.id,
    state: 'Conflict' as const,
    message: `${describe(winner)} has ${host} on this node already. Take it out of one of them.`,
  }));
  try {
    const leaving = mirroring?.use === 'KeepAsIs' ? [] : await bring(certs, look, host, desired);
    const staying = new Set(verdicts.map(({ id }) => id));
    return [...verdicts, ...lost, ...removing(look, host, leaving).filter(({ id }) => !staying.has(id))];
  } catch (error) {
    return [
      ...verdicts.map((verdict) => (verdict.state === 'Conflict' ? verdict : failed(verdict.id, error))),
      ...lost,
    ];
  }
}

/** Takes back what is ours in the folder of a registry of which nobody wants anything. */
export async function abandonHost({ certs, look }: HostTools, host: string): Promise<readonly Verdict[]> {
  try {
    return removing(look, host, await bring(certs, look, host, []));
  } catch (error) {
    const own = [...(look.get(host)?.own.keys() ?? [])];
    return removing(look, host, own).map(({ id }) => failed(id, error));
  }
}

export function failed(id: string, error: unknown): Verdict {
  return { id, state: 'Failed', message: error instanceof Error ? error.message : String(error) };
}

function removing(look: CertsLook, host: string, names: readonly string[]): readonly Verdict[] {
  const owners = names.flatMap((name) => ownersOf(look.get(host)?.own.get(name) ?? '') ?? []);
  return [...new Set(owners)].map((id) => ({ id, state: 'Removing' }));
}

function judgeTrust({ certs, look }: HostTools, host: RegistryHost, { entry }: TrustWant): Verdict {
  const message = obstacleOf(look, certs, host, trustFile(certs.runtime));
  return message === undefined ? { id: entry.id, state: 'Applied' } : conflict(entry, message);
}

/** `KeepAsIs`: what is there belongs to the time before the plan changed, and what is to take its place does not answer yet. */
type MirrorUse = 'Use' | 'Leave' | 'KeepAsIs';

function judgeMirror(
  { certs, look, mirrors, used }: HostTools,
  host: RegistryHost,
  mirror: MirrorWant,
  trust: TrustWant | undefined,
): { readonly use: MirrorUse; readonly verdict: Verdict } {
  const { entry } = mirror;
  const { id } = entry;
  const obstacle = obstacleOf(look, certs, host, HOSTS_FILE);
  if (obstacle !== undefined) return { use: 'Leave', verdict: conflict(entry, obstacle) };
  const target = targetOf(mirror);
  const { verdict, reason } = mirrors.healthOf(target);
  const present = look.get(host)?.own.get(HOSTS_FILE);
  const wanted = desiredFiles(certs.runtime, host, { mirror, trust }).find(({ name }) => name === HOSTS_FILE);
  const isInUse = present !== undefined && present === wanted?.text;
  const key = `${certs.runtime} ${host} ${id} ${target.endpoint}`;
  if (verdict === 'Answers' || isInUse) used.add(key);
  if (verdict === 'Answers' || (verdict === 'Doubtful' && isInUse)) {
    return { use: 'Use', verdict: { id, state: 'Applied', ...DOCKER_NOTE[certs.runtime] } };
  }
  // What another resource left goes at once: it may be gone for good.
  const isKept = verdict === 'Doubtful' && present !== undefined && ownersOf(present)?.includes(id) === true;
  const meanwhile = isKept ? 'What was written before stays.' : `Images come from ${host} itself.`;
  const message = `The mirror ${target.endpoint} does not serve this node: ${reason}. ${meanwhile}`;
  return {
    use: isKept ? 'KeepAsIs' : 'Leave',
    verdict: { id, state: used.has(key) ? 'Unreachable' : 'Waiting', message },
  };
}

const DOCKER_NOTE = {
  Containerd: {},
  Docker: { message: 'Docker reads it with its containerd image store alone.' },
} as const;

/** What a mirror is asked by. */
export function targetOf({ entry, mirror }: MirrorWant): ProbeTarget {
  return {
    endpoint: mirror.endpoint,
    ...(entry.ca !== undefined && { ca: entry.ca }),
    ...(mirror.header !== undefined && { header: mirror.header }),
  };
}

function conflict({ id }: NodePlanEntry, message: string): Verdict {
  return { id, state: 'Conflict', message };
}
