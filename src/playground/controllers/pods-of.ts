import { createHash } from 'node:crypto';
import type { KubeClient } from '../../kube/client.ts';
import type { KubeObject, Stored } from '../../kube/object.ts';
import { goJson } from '../api-server/fields/json.ts';
import type { Json } from '../api-server/kind.ts';
import { pods, type Deployment, type Pod } from '../../kube/resources.ts';

export type PodTemplate = NonNullable<Deployment['spec']>['template'];
type LabelSelector = NonNullable<Deployment['spec']>['selector'];

/**
 * The pods that an object controls. Asked of the API server and not of a cache: who makes pods by what it sees must see
 * the ones that it has just made.
 */
export async function podsOf(
  client: Pick<KubeClient, 'listAll'>,
  owner: Stored<KubeObject>,
  selector: LabelSelector | undefined,
): Promise<readonly Stored<Pod>[]> {
  const { namespace, uid } = owner.metadata;
  const labels = Object.entries(selector?.matchLabels ?? {});
  const labelSelector = labels.map(([key, value]) => `${key}=${value}`).join(',');
  const { items } = await client.listAll(pods, { namespace, labelSelector });
  return items.filter(({ metadata }) =>
    metadata.ownerReferences?.some((reference) => reference.uid === uid && reference.controller === true),
  );
}

/** With which an object belongs to `owner`, and goes with it. */
export function controllerReference({ apiVersion, kind, metadata }: Stored<KubeObject>) {
  const { name, uid } = metadata;
  return { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true };
}

/** A pod as a template has it, controlled by `owner`. */
export function podFromTemplate(
  owner: Stored<KubeObject>,
  template: PodTemplate,
  extra: { readonly name: string; readonly labels?: Readonly<Record<string, string>> },
) {
  const { labels, annotations } = template.metadata ?? {};
  const { metadata } = owner;
  return {
    metadata: {
      name: extra.name,
      ...(metadata.namespace !== undefined && { namespace: metadata.namespace }),
      labels: { ...labels, ...extra.labels },
      ...(annotations !== undefined && { annotations }),
      ownerReferences: [controllerReference(owner)],
    },
    ...(template.spec !== undefined && { spec: template.spec }),
  };
}

/** Letters of generated names: none that could make a word. */
const LETTERS = 'bcdfghjklmnpqrstvwxz2456789';

/** `prefix` and five random letters, as the API server makes them of `generateName`. */
export function randomName(prefix: string, random: () => number): string {
  const suffix = Array.from({ length: 5 }, () => LETTERS[Math.floor(random() * LETTERS.length)]).join('');
  return `${prefix.slice(0, 58)}${suffix}`;
}

/** The same for templates that say the same, in whatever order. */
export function templateHash(template: PodTemplate): string {
  // It came as JSON.
  const digest = createHash('sha256')
    .update(goJson(template as unknown as Json))
    .digest();
  return Array.from(digest.subarray(0, 10), (byte) => LETTERS[byte % LETTERS.length]).join('');
}
