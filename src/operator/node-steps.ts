import { MANAGED_BY_LABEL, PART_OF_LABEL, PROGRAM } from '../api/names.ts';
import { NODE_PLAN_KEY, NODE_PLAN_SECRET, nodePlanHash, printNodePlan } from '../contract/node-plan.ts';
import { ApiError } from '../kube/api-error.ts';
import type { Stored } from '../kube/object.ts';
import { done, waiting, type Outcome } from '../kube/outcome.ts';
import type { ResourceType, Secret } from '../kube/resources.ts';
import { nodePlanEntry, nodePlanOf, nodesObstacle, nodesOf, nodesWanted } from './desired-node-plan.ts';
import { dropFinalizer, hasFinalizer, keepFinalizer } from './finalizers.ts';
import { areNodesReverted, type NodeFacts } from './node-facts.ts';
import type { ReadNodeReport } from './read-node-report.ts';
import type { RegistryLook, RegistryTools } from './registry-look.ts';
import type { UnreadObject } from './resource-types.ts';
import { serverAddresses } from './rollout.ts';
import { dataText, encodeData } from './secret-data.ts';
import type { Served } from './served.ts';
import { servedIn } from './world.ts';

/** On a resource of which something may be on nodes, which its deletion must have taken back. */
const NODES_FINALIZER = 'stevedore.dev/nodes';

/** How soon agents are asked again whether they have taken back what they had written. */
const REVERTING_MS = 2000;
/** A node that can't be asked for so long is not waited for: its agent follows the plan when it is back. */
const PATIENCE_MS = 120_000;

type Tools = Pick<RegistryTools, 'kube' | 'world' | 'operatorNamespace' | 'nodeAccessNamespaces'>;
type NodeTools = Tools & { readonly readNodeReport: ReadNodeReport };

/**
 * Has the plan for the nodes say what this resource wants. Before all that waits: what is wanted no longer must go while
 * the resource itself is in trouble. What the plan takes of its children is seen in a later look.
 */
export async function planNodes(tools: Tools, { registry }: RegistryLook): Promise<Outcome> {
  const { kube, world } = tools;
  const resources = servedIn(world, registry.kind);
  const object = resources.get(registry.metadata);
  if (object === undefined) return done;
  const wants = nodesWanted(registry) !== undefined && mayWrite(tools, registry);
  if (!wants && !hasFinalizer(object, NODES_FINALIZER)) return done;
  if (wants) await keepFinalizer(kube, resources, registry.metadata, NODES_FINALIZER);
  await writeNodePlan(tools);
  return done;
}

function mayWrite({ nodeAccessNamespaces }: Tools, registry: Stored<Served>): boolean {
  return nodesObstacle(registry, nodeAccessNamespaces) === undefined;
}

/** One Secret with the whole plan, the same whoever writes it. Its hash, by which agents say which one they follow. */
async function writeNodePlan({
  kube,
  world,
  operatorNamespace,
  nodeAccessNamespaces,
}: Tools): Promise<string> {
  const plan = nodePlanOf(world, nodeAccessNamespaces);
  const text = printNodePlan(plan);
  try {
    await putPlan(kube, world.secrets.type, operatorNamespace, text);
  } catch (error) {
    // An operator for one namespace has no rights in its own: the resource must not suffer, and agents tell what they follow.
    if (!(error instanceof ApiError) || error.status !== 403) throw error;
  }
  return nodePlanHash(text);
}

async function putPlan(
  kube: Tools['kube'],
  type: ResourceType<Secret>,
  namespace: string,
  text: string,
): Promise<void> {
  const key = { namespace, name: NODE_PLAN_SECRET };
  const existing = await kube.find(type, key);
  if (dataText(existing, NODE_PLAN_KEY) === text) return;
  const labels = { [PART_OF_LABEL]: PROGRAM, [MANAGED_BY_LABEL]: PROGRAM };
  const data = encodeData({ [NODE_PLAN_KEY]: text });
  await kube.apply(type, { metadata: { ...key, labels }, type: 'Opaque', data });
}

/** After all writes, as servers are asked: how the nodes stand. When nothing is left on them the finalizer can go. */
export async function lookAtNodes(tools: NodeTools, { registry, facts }: RegistryLook): Promise<void> {
  const { kube, world, nodeAccessNamespaces } = tools;
  const resources = servedIn(world, registry.kind);
  const object = resources.get(registry.metadata);
  const wanted = nodesWanted(registry);
  const mayBeLeft = object !== undefined && hasFinalizer(object, NODES_FINALIZER);
  if (wanted === undefined && !mayBeLeft) return;
  const obstacle = wanted && nodesObstacle(registry, nodeAccessNamespaces);
  const found: NodeFacts = {
    id: registry.metadata.uid,
    ...(obstacle !== undefined && { obstacle }),
    isPlanned: obstacle === undefined && nodePlanEntry(world, registry) !== undefined,
    nodes: wanted === undefined || obstacle !== undefined ? [] : nodesOf(world, wanted.selector),
    planHash: nodePlanHash(printNodePlan(nodePlanOf(world, nodeAccessNamespaces))),
    ...(mayBeLeft ? await readReports(tools) : { reports: [], silentAgents: 0 }),
  };
  const wants = wanted !== undefined && obstacle === undefined;
  if (!wants && mayBeLeft && areNodesReverted(found)) {
    await dropFinalizer(kube, resources.type, object, NODES_FINALIZER);
    if (wanted === undefined) return;
  }
  facts.nodes = found;
}

async function readReports({
  world,
  readNodeReport,
}: NodeTools): Promise<Pick<NodeFacts, 'reports' | 'silentAgents'>> {
  const answers = await Promise.all(serverAddresses(world.nodeAgents.list()).map(readNodeReport));
  const reports = answers.filter((answer) => answer !== undefined);
  return { reports, silentAgents: answers.length - reports.length };
}

/** Takes back what is on nodes of a resource that is being deleted. Done when nothing is left, or nobody can say. */
export async function withdrawNodes(
  tools: NodeTools & Pick<RegistryTools, 'clock'>,
  kind: Served['kind'],
  object: Stored<UnreadObject>,
): Promise<Outcome> {
  if (!hasFinalizer(object, NODES_FINALIZER)) return done;
  const planHash = await writeNodePlan(tools);
  const { uid: id, deletionTimestamp = '' } = object.metadata;
  const facts = { id, isPlanned: false, nodes: [], planHash, ...(await readReports(tools)) };
  const patient = tools.clock.now() - Date.parse(deletionTimestamp) < PATIENCE_MS;
  if (patient && !areNodesReverted(facts)) return waiting(REVERTING_MS, 'NodesReverting');
  await dropFinalizer(tools.kube, servedIn(tools.world, kind).type, object, NODES_FINALIZER);
  return done;
}
