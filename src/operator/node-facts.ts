import type { NodeReport, NodeReportEntry, NodeState } from '../contract/node-report.ts';
import type { Finding } from './conditions.ts';
import type { Reason } from './reasons.ts';

/** What a look found of a resource that wants something written on nodes, or has left something there. */
export interface NodeFacts {
  /** The uid of the resource. */
  readonly id: string;
  /** Why nothing may be written. */
  readonly obstacle?: string;
  /** Whether it is in the plan. */
  readonly isPlanned: boolean;
  /** Nodes that are to have it. */
  readonly nodes: readonly string[];
  /** Of the plan that agents are to follow. */
  readonly planHash: string;
  /** What the agents say that could be asked. */
  readonly reports: readonly NodeReport[];
  /** Agents that run and could not be asked. */
  readonly silentAgents: number;
}

/** How it stands on one node. */
interface NodeFinding {
  readonly node: string;
  readonly entries: readonly NodeReportEntry[];
  /** Whether the agent follows the plan that is in force. */
  readonly isCurrent: boolean;
}

/** Nodes on which something of the resource is left that should not be. */
function nodesLeft(facts: NodeFacts): readonly string[] {
  return findings(facts)
    .filter(({ node, entries }) => entries.length > 0 && !(facts.isPlanned && facts.nodes.includes(node)))
    .map(({ node }) => node);
}

/** Whether every agent follows the plan, and has nothing that should not be there. */
export function areNodesReverted(facts: NodeFacts): boolean {
  const current = facts.reports.every(({ planHash }) => planHash === facts.planHash);
  return facts.silentAgents === 0 && current && nodesLeft(facts).length === 0;
}

/** For the status. */
export function nodeCounts(facts: NodeFacts) {
  const wanted = findings(facts).filter(({ node }) => facts.nodes.includes(node));
  return {
    configured: wanted.filter(isApplied).length,
    conflicting: wanted.filter(({ entries }) => hasState(entries, 'Conflict')).length,
  };
}

/** Whether no agent has anything to do any more. */
export function areNodesSettled(facts: NodeFacts): boolean {
  return (
    nodesLeft(facts).length === 0 && (!facts.isPlanned || nodeCounts(facts).configured === facts.nodes.length)
  );
}

/** The worst of what agents say comes first. */
const REASONS: readonly (readonly [NodeState, Reason])[] = [
  ['Conflict', 'NodeConflict'],
  ['Failed', 'NodeFailed'],
  ['NotEffective', 'NodeNotEffective'],
  ['Unreachable', 'NodeMirrorUnreachable'],
  ['Waiting', 'NodesPending'],
];

/** The longest list of nodes that a message has. */
const MOST_TOLD = 5;

export function nodesVerdict(facts: NodeFacts): Omit<Finding, 'type'> {
  if (facts.obstacle !== undefined)
    return { status: 'False', reason: 'NotPermitted', message: facts.obstacle };
  const left = nodesLeft(facts);
  if (!facts.isPlanned && left.length > 0) {
    const message = `Agents take back what is written on ${told(left)}.`;
    return { status: 'False', reason: 'NodesPending', message };
  }
  if (!facts.isPlanned) {
    const message = 'Its address, its authority or the password of its user is not there yet.';
    return { status: 'Unknown', reason: 'NodesPending', message };
  }
  const wanted = findings(facts).filter(({ node }) => facts.nodes.includes(node));
  const { configured } = nodeCounts(facts);
  const count = `${configured} of ${facts.nodes.length} nodes are configured.`;
  for (const [state, reason] of REASONS) {
    const lines = wanted.flatMap(({ node, entries }) =>
      entries
        .filter((entry) => entry.state === state)
        .map(({ host, runtime, message = state }) => `${node}: ${host} for ${runtime}: ${message}`),
    );
    if (lines.length > 0) return { status: 'False', reason, message: [count, ...few(lines)].join('\n') };
  }
  const asked = new Set(wanted.filter(isApplied).map(({ node }) => node));
  const silent = facts.nodes.filter((node) => !asked.has(node));
  if (silent.length > 0) {
    return {
      status: 'False',
      reason: 'NodesPending',
      message: `${count} No agent tells of ${told(silent)} yet.`,
    };
  }
  return { status: 'True', reason: 'NodesConfigured', message: count };
}

function findings({ id, planHash, reports }: NodeFacts): readonly NodeFinding[] {
  // By name, so that the same facts make the same message.
  const sorted = reports.toSorted((a, b) => a.node.localeCompare(b.node));
  return sorted.map(({ node, planHash: followed, entries }) => ({
    node,
    entries: entries.filter((entry) => entry.id === id),
    isCurrent: followed === planHash,
  }));
}

function isApplied({ entries, isCurrent }: NodeFinding): boolean {
  return isCurrent && entries.length > 0 && entries.every(({ state }) => state === 'Applied');
}

function hasState(entries: readonly NodeReportEntry[], state: NodeState): boolean {
  return entries.some((entry) => entry.state === state);
}

function few(lines: readonly string[]): readonly string[] {
  const rest = lines.length - MOST_TOLD;
  return rest > 0 ? [...lines.slice(0, MOST_TOLD), `and ${rest} more`] : lines;
}

function told(nodes: readonly string[]): string {
  return few(nodes).join(', ');
}
