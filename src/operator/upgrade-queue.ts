import { formatKey, type KubeObject, type NamespacedName } from '../kube/object.ts';
import type { Deployment } from '../kube/resources.ts';
import { rolloutOf } from './rollout.ts';

/**
 * On a Deployment that served when it got the image it has: that image. Until it serves again it holds a place in the
 * queue, so that an upgrade that breaks registries stops at the first.
 */
export const UPGRADED_ANNOTATION = 'stevedore.dev/upgraded-to';

/**
 * On each Deployment: the generation of the resource and the fingerprint of the pods that it was made with. So an
 * upgrade of the operator that makes other pods of the same image is one as well.
 */
export const REVISION_ANNOTATION = 'stevedore.dev/revision';

/** What the pods of a Deployment are to be. */
export interface Revision {
  readonly image: string;
  readonly generation: number;
  /** Fingerprint of the pods, without what changes by a Secret. */
  readonly pods: string;
}

/** What the operator sees of the Deployments it made. */
interface Deployments {
  get(key: NamespacedName): Deployment | undefined;
  list(): readonly Deployment[];
}

/**
 * Lets registries have a new image a few at a time. What is written in Deployments decides, so that another operator
 * goes on where this one ended; only the places of those whose change is not seen yet are remembered.
 */
export class UpgradeQueue {
  readonly #most: number;
  /** By key, what the Deployment will be. */
  readonly #granted = new Map<string, Revision>();

  /** @param most how many registries may be on their way to another image */
  constructor(most: number) {
    this.#most = most;
  }

  /** Whether the registry may be so now. One that does not serve, or is yet to be made, waits for nobody. */
  admits(key: NamespacedName, wanted: Revision, deployments: Deployments): boolean {
    const own = deployments.get(key);
    if (own === undefined || hasPods(own, wanted) || !serves(own)) return true;
    // Nor does one that somebody changes.
    if (isOlder(own, wanted) && imageOf(own) === wanted.image) return true;
    const all = deployments.list();
    this.#forgetSeen(all);
    const busy = new Set([...this.#granted.keys(), ...all.filter(isReturning).map(keyText)]);
    if (!busy.has(formatKey(key)) && busy.size >= this.#most) return false;
    this.#granted.set(formatKey(key), wanted);
    return true;
  }

  /**
   * After a look that did not come to its end: a place that led to no change goes to the next, since what stands in
   * the way is for somebody to mend, and may last. `deployment`: as it is after the look.
   */
  release(key: NamespacedName, deployment: Deployment | undefined): void {
    const granted = this.#granted.get(formatKey(key));
    if (granted === undefined || deployment === undefined || !hasPods(deployment, granted)) {
      this.#granted.delete(formatKey(key));
    }
  }

  /** A place is taken over by what the Deployment says as soon as it says it, and ends with the Deployment. */
  #forgetSeen(all: readonly Deployment[]): void {
    const seen = new Map(all.map((deployment) => [keyText(deployment), deployment]));
    for (const [key, granted] of this.#granted) {
      const deployment = seen.get(key);
      if (deployment === undefined || hasPods(deployment, granted)) this.#granted.delete(key);
    }
  }
}

/** What `REVISION_ANNOTATION` is to be. */
export function revisionText({ generation, pods }: Revision): string {
  return `${generation}-${pods}`;
}

/** What `UPGRADED_ANNOTATION` is to be on the Deployment with this image; undefined: it is not there. */
export function upgradeMark(existing: Deployment | undefined, wanted: Revision): string | undefined {
  if (existing === undefined) return undefined;
  const { image } = wanted;
  const isChange = isOlder(existing, wanted) && imageOf(existing) === image;
  if (isChange || hasPods(existing, wanted)) {
    // Once it served with it, what becomes of it later has nothing to do with the upgrade.
    const { complete } = rolloutOf(existing, []);
    return complete ? undefined : existing.metadata.annotations?.[UPGRADED_ANNOTATION];
  }
  return serves(existing) ? image : undefined;
}

/** Whether the pods are as wanted, as far as the Deployment tells. */
function hasPods(deployment: Deployment, wanted: Revision): boolean {
  const [, pods] = revisionOf(deployment);
  return imageOf(deployment) === wanted.image && (pods === undefined || pods === wanted.pods);
}

/** Whether it was made for an earlier spec. */
function isOlder(deployment: Deployment, { generation }: Revision): boolean {
  const [made] = revisionOf(deployment);
  return made !== undefined && made !== String(generation);
}

function revisionOf({ metadata }: Deployment): readonly (string | undefined)[] {
  return metadata.annotations?.[REVISION_ANNOTATION]?.split('-') ?? [];
}

function imageOf(deployment: Deployment): string | undefined {
  return deployment.spec?.template.spec?.containers[0]?.image;
}

function serves(deployment: Deployment): boolean {
  return rolloutOf(deployment, []).available;
}

function isReturning(deployment: Deployment): boolean {
  const upgraded = deployment.metadata.annotations?.[UPGRADED_ANNOTATION] === imageOf(deployment);
  return upgraded && !rolloutOf(deployment, []).complete;
}

function keyText({ metadata: { namespace, name } }: KubeObject): string {
  return formatKey({ namespace, name });
}
