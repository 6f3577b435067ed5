import {
  NODE_RUNTIMES,
  nodePlanHash,
  parseNodePlan,
  type NodePlan,
  type NodeRuntime,
} from '../contract/node-plan.ts';
import type { NodeReport, NodeReportEntry } from '../contract/node-report.ts';
import type { Clock } from '../process/clock.ts';
import type { Logger } from '../process/logger.ts';
import { lookAround, type CertsFolder, type CertsLook } from './certs-folder.ts';
import { wantsOf, type HostWants } from './desired-files.ts';
import type { MirrorWatch } from './mirror-watch.ts';
import { abandonHost, failed, targetOf, tendHost, type Verdict } from './tend-host.ts';

export interface NodeAgentOptions {
  /** The name of this node. */
  readonly node: string;
  /** The text of the plan; undefined when there is none. */
  readonly readPlan: () => Promise<string | undefined>;
  readonly folders: readonly CertsFolder[];
  /** Why containerd takes no notice of what is in its folder; undefined when it does. */
  readonly containerdProblem: () => Promise<string | undefined>;
  readonly mirrors: MirrorWatch;
  readonly clock: Clock;
  readonly log: Logger;
}

/** How often everything is looked at: others write there too, and the plan is a file that changes. */
const LOOK_MS = 2000;

/**
 * Brings the files of one node to what the plan says, again and again, and says how it stands. What it has done is
 * known from the files alone, so that an agent that starts goes on where another was cut off.
 */
export class NodeAgent {
  readonly #options: NodeAgentOptions;
  readonly #used = new Set<string>();
  #plan: { readonly text: string; readonly value: NodePlan } | undefined;
  #report: NodeReport;
  /** When the last look ended: monotonic milliseconds. */
  lookedAt: number;

  constructor(options: NodeAgentOptions) {
    this.#options = options;
    this.#report = { node: options.node, entries: [] };
    this.lookedAt = options.clock.monotonic();
  }

  /** How the node stood at the end of the last look. */
  get report(): NodeReport {
    return this.#report;
  }

  /** Looks until the signal is aborted. Nothing is taken back then: the next agent goes on. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    while (!signal.aborted) {
      await this.look();
      await clock.sleep(LOOK_MS, signal).catch(() => undefined);
    }
  }

  /** Reads the plan, asks the mirrors whose time has come, writes and removes. */
  async look(): Promise<void> {
    const { clock, folders, node } = this.#options;
    const planError = await this.#readPlan();
    const plan = this.#plan;
    const entries: NodeReportEntry[] = [];
    // Without a plan nobody knows what is to go either.
    if (plan !== undefined) {
      const tasks = folders.map((certs) => ({ certs, wants: wantsOf(plan.value, node, certs.runtime) }));
      await this.#options.mirrors.ask(
        tasks.flatMap(({ wants }) => wants.flatMap(({ mirror }) => (mirror ? [targetOf(mirror)] : []))),
      );
      for (const { certs, wants } of tasks) entries.push(...(await this.#tend(certs, wants)));
      for (const runtime of NODE_RUNTIMES) entries.push(...this.#untended(plan.value, runtime));
    }
    this.#tell({
      node,
      ...(plan !== undefined && { planHash: nodePlanHash(plan.text) }),
      ...(planError !== undefined && { planError }),
      entries,
    });
    this.lookedAt = clock.monotonic();
  }

  /** @returns why what is there now is not followed */
  async #readPlan(): Promise<string | undefined> {
    try {
      const text = await this.#options.readPlan();
      if (text === undefined) return 'There is no plan.';
      if (text !== this.#plan?.text) this.#plan = { text, value: parseNodePlan(text) };
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  async #tend(certs: CertsFolder, wanted: readonly HostWants[]): Promise<readonly NodeReportEntry[]> {
    const { runtime } = certs;
    const { mirrors } = this.#options;
    let look: CertsLook;
    let problem: string | undefined;
    try {
      look = await lookAround(certs);
      problem = runtime === 'Containerd' ? await this.#options.containerdProblem() : undefined;
    } catch (error) {
      return wanted.flatMap((wants) =>
        inReport(
          runtime,
          wants.host,
          idsOf(wants).map((id) => failed(id, error)),
        ),
      );
    }
    const tools = { certs, look, mirrors, used: this.#used };
    const entries: NodeReportEntry[] = [];
    for (const wants of wanted) {
      const verdicts = await tendHost(tools, wants);
      entries.push(
        ...inReport(
          runtime,
          wants.host,
          verdicts.map((verdict) => withProblem(verdict, problem)),
        ),
      );
    }
    const hosts = new Set<string>(wanted.map(({ host }) => host));
    for (const host of look.keys()) {
      if (!hosts.has(host)) entries.push(...inReport(runtime, host, await abandonHost(tools, host)));
    }
    return entries;
  }

  /**
   * Mirrors for a runtime that this agent leaves alone. Of trust it says nothing: that is for whatever runtimes there are,
   * and who asks for a mirror names them.
   */
  #untended(plan: NodePlan, runtime: NodeRuntime): readonly NodeReportEntry[] {
    const { folders, node } = this.#options;
    if (folders.some((certs) => certs.runtime === runtime)) return [];
    const message = `The node agents leave ${runtime} alone: see nodeAccess in the values of the chart.`;
    return wantsOf(plan, node, runtime).flatMap(({ host, mirror }) =>
      mirror === undefined
        ? []
        : inReport(runtime, host, [{ id: mirror.entry.id, state: 'NotEffective', message }]),
    );
  }

  /** Logs what is not as it was at the last look. */
  #tell(report: NodeReport): void {
    const { log } = this.#options;
    const before = new Set(this.#report.entries.map((entry) => JSON.stringify(entry)));
    for (const entry of report.entries) {
      if (before.has(JSON.stringify(entry))) continue;
      const isWell = entry.state === 'Applied' || entry.state === 'Removing';
      log[isWell ? 'info' : 'warn']({ ...entry }, 'a registry of the plan changed its state');
    }
    if (report.planError !== undefined && report.planError !== this.#report.planError) {
      log.warn({ reason: report.planError }, 'the plan is not followed');
    }
    if (report.planHash !== this.#report.planHash)
      log.info({ planHash: report.planHash }, 'following a new plan');
    this.#report = report;
  }
}

function inReport(
  runtime: NodeRuntime,
  host: string,
  verdicts: readonly Verdict[],
): readonly NodeReportEntry[] {
  return verdicts.map(({ id, state, message }) => ({
    id,
    host,
    runtime,
    state,
    ...(message !== undefined && { message }),
  }));
}

function withProblem(verdict: Verdict, problem: string | undefined): Verdict {
  return verdict.state === 'Applied' && problem !== undefined
    ? { ...verdict, state: 'NotEffective', message: problem }
    : verdict;
}

function idsOf({ mirror, trust, beaten }: HostWants): readonly string[] {
  const entries = [mirror?.entry, trust?.entry, ...beaten.map(({ loser }) => loser)];
  return [...new Set(entries.flatMap((entry) => entry?.id ?? []))];
}
