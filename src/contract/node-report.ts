import { NODE_RUNTIMES, type NodeRuntime } from './node-plan.ts';

/** What a node agent says at `GET /status` on NODE_AGENT_PORT: how its node stands to the plan. Never secrets. */
export interface NodeReport {
  /** The name of the node. */
  readonly node: string;
  /** Of the plan that is followed (`nodePlanHash`). Absent: none has been read yet. */
  readonly planHash?: string;
  /** Why the plan that is there now is not followed. */
  readonly planError?: string;
  /** One for each host and runtime of the entries that are for this node, and for what could not be taken back yet. */
  readonly entries: readonly NodeReportEntry[];
}

export interface NodeReportEntry {
  /** Of the entry in the plan: the uid of the resource. */
  readonly id: string;
  /** The registry that it is about. */
  readonly host: string;
  readonly runtime: NodeRuntime;
  readonly state: NodeState;
  /** For people: why it is so and what to do. */
  readonly message?: string;
}

/**
 * `Applied`: the runtime reads it. `Waiting`: the mirror has not answered from this node yet. `Unreachable`: it has
 * stopped to, and pulls go to the registry itself. `Conflict`: files of somebody else are in the way. `NotEffective`: all
 * is written, and the runtime is configured to read it elsewhere or nowhere. `Failed`: the node refuses to have files
 * written or removed. `Removing`: no plan asks for it any more, and what was written is on its way out.
 */
export const NODE_STATES = [
  'Applied',
  'Waiting',
  'Unreachable',
  'Conflict',
  'NotEffective',
  'Failed',
  'Removing',
] as const;
export type NodeState = (typeof NODE_STATES)[number];

/** Of the agents' pods: health, metrics and the report. */
export const NODE_AGENT_PORT = 5002;

const LONGEST_TEXT = 512;
const MOST_ENTRIES = 10_000;

export function printNodeReport(report: NodeReport): string {
  return `${JSON.stringify(report)}\n`;
}

/** Reads a report as far as it fits; whoever holds a pod's address may answer anything. @returns undefined for no report */
export function parseNodeReport(text: string): NodeReport | undefined {
  const document = parseJson(text);
  if (!isObject(document)) return undefined;
  const { node, planHash, planError, entries } = document;
  if (typeof node !== 'string' || !Array.isArray(entries) || entries.length > MOST_ENTRIES) return undefined;
  return {
    node: shortened(node),
    ...(typeof planHash === 'string' && { planHash: shortened(planHash) }),
    ...(typeof planError === 'string' && { planError: shortened(planError) }),
    entries: entries.flatMap(parseEntry),
  };
}

function parseEntry(value: unknown): NodeReportEntry[] {
  if (!isObject(value)) return [];
  const { id, host, message } = value;
  const runtime = NODE_RUNTIMES.find((known) => known === value['runtime']);
  const state = NODE_STATES.find((known) => known === value['state']);
  if (typeof id !== 'string' || typeof host !== 'string' || runtime === undefined || state === undefined)
    return [];
  return [
    {
      id: shortened(id),
      host: shortened(host),
      runtime,
      state,
      ...(typeof message === 'string' && { message: shortened(message) }),
    },
  ];
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function shortened(text: string): string {
  return text.slice(0, LONGEST_TEXT);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
