import { done, stalled, waiting, type Outcome } from '../kube/outcome.ts';
import { bundleOf } from '../pki/certificate-chain.ts';
import { applyChild } from './apply-child.ts';
import { childNames } from './child-names.ts';
import { mayBeUsed, notPermitted } from './credentials.ts';
import { desiredClientAuthorities } from './desired-client-authorities.ts';
import {
  desiredTokenKeys,
  NO_CERTIFICATES,
  TOKEN_KEYS,
  tokenKeysFlaw,
  type TokenKeys,
} from './desired-token-keys.ts';
import type { UserProblem } from './password.ts';
import { findSecret } from './referenced-secret.ts';
import type { RegistryLook, RegistryTools } from './registry-look.ts';
import { dataText } from './secret-data.ts';

/**
 * Keys by which the server knows clients, copied from where the Registry says into objects of ours: what is broken
 * there never reaches the server, and what it has stays in force.
 */

/** How often what can't be watched is looked at. */
const UNWATCHED_MS = 30_000;

/** Where a text of the user's is. */
interface Source {
  readonly secretName?: string;
  readonly configMapName?: string;
  readonly key: string;
}

export async function copyTokenKeys(tools: RegistryTools, look: RegistryLook): Promise<Outcome> {
  const { kube, world } = tools;
  const { registry } = look;
  const token = registry.spec.auth?.token;
  if (token === undefined) return done;
  const { namespace } = registry.metadata;
  const keys: { -readonly [Field in keyof TokenKeys]: string } = {};
  for (const field of ['rootCertBundle', 'jwks'] as const) {
    const source = token[field];
    if (source === undefined) continue;
    const found = await readSource(tools, namespace, `token.${field}`, source);
    const flaw = 'text' in found ? tokenKeysFlaw(field, found.text) : undefined;
    if ('problem' in found || flaw !== undefined) {
      const problem = 'problem' in found ? found.problem : flawed(`token.${field}`, source, flaw ?? '');
      const copied = dataText(
        world.secrets.get({ namespace, name: childNames(registry).tokenKeys }),
        TOKEN_KEYS[field],
      );
      return keepOrWait(look, problem, copied !== undefined);
    }
    keys[field] = found.text;
  }
  const child = await applyChild(kube, world.secrets, registry, desiredTokenKeys(registry, keys));
  return child.outcome ?? done;
}

export async function copyClientAuthorities(tools: RegistryTools, look: RegistryLook): Promise<Outcome> {
  const { kube, world } = tools;
  const { registry } = look;
  const source = registry.spec.tls.clientCAs;
  if (source === undefined) return done;
  const { namespace } = registry.metadata;
  const found = await readSource(tools, namespace, 'tls.clientCAs', source);
  // A ConfigMap may be read by who may not read the Secret.
  const bundle = 'text' in found ? bundleOf(found.text) : undefined;
  if (bundle === undefined) {
    const problem = 'problem' in found ? found.problem : flawed('tls.clientCAs', source, NO_CERTIFICATES);
    const copied = world.configMaps.get({ namespace, name: childNames(registry).clientAuthorities });
    return keepOrWait(look, problem, copied !== undefined);
  }
  const desired = desiredClientAuthorities(registry, bundle);
  const child = await applyChild(kube, world.configMaps, registry, desired);
  return child.outcome ?? done;
}

/** Without a copy from before, a pod would wait for its volume: better that the reason is told. */
function keepOrWait(look: RegistryLook, problem: UserProblem, isCopied: boolean): Outcome {
  const { reason, message } = problem;
  if (isCopied) {
    look.facts.keysProblem = problem;
    return done;
  }
  return reason === 'EntryInvalid' ? stalled(reason, message) : waiting(UNWATCHED_MS, reason, message);
}

export function flawed(path: string, source: Source, flaw: string): UserProblem {
  return {
    name: path,
    reason: 'EntryInvalid',
    message: `The key ${source.key} of the ${nameOf(source)} holds ${flaw}.`,
  };
}

/** The text under a key of a Secret that permits it, or of a ConfigMap. */
export async function readSource(
  tools: RegistryTools,
  namespace: string,
  path: string,
  source: Source,
): Promise<{ readonly text: string } | { readonly problem: UserProblem }> {
  const { kube, world } = tools;
  const { secretName, configMapName = '', key } = source;
  const problem = (reason: UserProblem['reason'], message: string) => ({
    problem: { name: path, reason, message },
  });
  const missing = () =>
    problem(
      'SecretNotFound',
      `There is no ${nameOf(source)}. Make it, with what ${path} needs under ${key}.`,
    );
  let text: string | undefined;
  if (secretName !== undefined) {
    const secret = await findSecret(tools, namespace, secretName);
    if (secret === undefined) return missing();
    if (!mayBeUsed(secret)) return problem('NotPermitted', notPermitted(secretName));
    text = dataText(secret, key);
  } else {
    const configMap = await kube.find(world.configMaps.type, { namespace, name: configMapName });
    if (configMap === undefined) return missing();
    text = configMap.data?.[key];
  }
  return text === undefined
    ? problem('KeyNotFound', `The ${nameOf(source)} has no key ${key}. Add it, or name another key.`)
    : { text };
}

function nameOf({ secretName, configMapName }: Source): string {
  return secretName === undefined ? `ConfigMap ${configMapName ?? ''}` : `Secret ${secretName}`;
}
