import type { RegistryMirror } from '../api/registry-mirror.ts';
import { done, stalled, waiting, type Outcome } from '../kube/outcome.ts';
import { bundleOf } from '../pki/certificate-chain.ts';
import { applyChild } from './apply-child.ts';
import { childNames } from './child-names.ts';
import { flawed, readSource } from './copied-keys.ts';
import { credentialsOf } from './credentials.ts';
import {
  credentialsOfUpstream,
  desiredUpstream,
  holdsFilesOf,
  upstreamSecretName,
  upstreamsWithFiles,
  UPSTREAM_AUTHORITIES,
  type Upstream,
} from './desired-upstream.ts';
import { NO_CERTIFICATES } from './desired-token-keys.ts';
import type { UserProblem } from './password.ts';
import { findSecret } from './referenced-secret.ts';
import type { RegistryLook, RegistryTools } from './registry-look.ts';
import { removeChild } from './remove-child.ts';
import { childrenIn } from './world.ts';

/** Why what a mirror has for an upstream is not what the spec names. */
export type UpstreamProblem = Pick<UserProblem, 'reason' | 'message'>;

/** A Secret without our label, and a ConfigMap, change unseen. */
const UNWATCHED_MS = 30_000;

/** Credentials and authorities of the upstreams, each in a Secret of its own. What is there stays in force while the source is wrong. */
export async function copyUpstreams(
  tools: RegistryTools,
  look: RegistryLook<RegistryMirror>,
): Promise<Outcome> {
  const { kube, world } = tools;
  const { registry: mirror } = look;
  const { namespace } = mirror.metadata;
  const problems: UpstreamProblem[] = [];
  for (const upstream of upstreamsWithFiles(mirror)) {
    const found = await readUpstream(tools, mirror, upstream);
    if ('reason' in found) {
      const copy = world.secrets.get({ namespace, name: upstreamSecretName(mirror, upstream) });
      // Without one a pod would wait for its volume: better that the reason is told.
      if (!holdsFilesOf(copy, upstream)) return halt(found);
      problems.push(found);
      continue;
    }
    const child = await applyChild(
      kube,
      world.secrets,
      mirror,
      desiredUpstream(mirror, upstream, found.files),
    );
    if (child.outcome !== undefined) return child.outcome;
  }
  look.facts.upstreamProblems = problems;
  return done;
}

function halt({ reason, message }: UpstreamProblem): Outcome {
  return reason === 'EntryInvalid' ? stalled(reason, message) : waiting(UNWATCHED_MS, reason, message);
}

async function readUpstream(
  tools: RegistryTools,
  mirror: RegistryMirror,
  upstream: Upstream,
): Promise<{ readonly files: Readonly<Record<string, string>> } | UpstreamProblem> {
  const { namespace } = mirror.metadata;
  const index = mirror.spec.upstreams.indexOf(upstream);
  const files: Record<string, string> = {};
  const use = credentialsOfUpstream(upstream, index);
  if (use !== undefined) {
    const found = credentialsOf(use, await findSecret(tools, namespace, use.secretName));
    if (found.problem !== undefined) return found.problem;
    Object.assign(files, found.variables);
  }
  const { caBundleRef } = upstream;
  if (caBundleRef !== undefined) {
    const path = `upstreams[${index}].caBundleRef`;
    const found = await readSource(tools, namespace, path, caBundleRef);
    if ('problem' in found) return found.problem;
    const bundle = bundleOf(found.text);
    if (bundle === undefined) return flawed(path, caBundleRef, NO_CERTIFICATES);
    files[UPSTREAM_AUTHORITIES] = bundle;
  }
  return { files };
}

/** Copies for upstreams that are gone, once no pod is to mount them. */
export async function removeUnusedUpstreams(
  { kube, world }: RegistryTools,
  { registry: mirror }: RegistryLook<RegistryMirror>,
): Promise<Outcome> {
  const wanted = new Set(upstreamsWithFiles(mirror).map((one) => upstreamSecretName(mirror, one)));
  const prefix = childNames(mirror).upstream('');
  for (const { metadata } of childrenIn(world.secrets, mirror)) {
    if (!metadata.name.startsWith(prefix) || wanted.has(metadata.name)) continue;
    await removeChild(kube, world.secrets, mirror, metadata.name);
  }
  return done;
}
