import type { Registry } from '../api/registry.ts';
import { USE_CREDENTIALS, USE_LABEL } from '../api/names.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Secret } from '../kube/resources.ts';
import { dataText } from './secret-data.ts';

/** Variables of the server's environment by their names. Their values are YAML, as the server reads them. */
export type Variables = Readonly<Record<string, string>>;

/** A Secret that a Registry refers to for its server, and what the server gets of it. */
export interface CredentialUse {
  /** Where the Registry refers to it. */
  readonly path: string;
  readonly secretName: string;
  /** What the server is given; undefined where the Secret has not what is needed. */
  readonly read: (secret: Secret) => Variables | undefined;
  /** What is needed, for people. */
  readonly needs: string;
}

export interface CredentialProblem {
  readonly reason: 'SecretNotFound' | 'NotPermitted' | 'KeyNotFound';
  readonly message: string;
}

/** Every Secret that a server is given credentials from. */
export function credentialUses({ spec }: Registry): readonly CredentialUse[] {
  const { storage, cache, notifications = [] } = spec;
  const uses = [
    use('spec.storage.s3.credentialsSecretRef', storage.s3?.credentialsSecretRef, S3_KEYS),
    use('spec.storage.azure.credentialsSecretRef', storage.azure?.credentialsSecretRef, AZURE_KEYS),
    use('spec.storage.gcs.credentialsSecretRef', storage.gcs?.credentialsSecretRef, GCS_KEYS),
    use('spec.storage.swift.credentialsSecretRef', storage.swift?.credentialsSecretRef, SWIFT_KEYS),
    use('spec.storage.oss.credentialsSecretRef', storage.oss?.credentialsSecretRef, OSS_KEYS),
    use('spec.cache.redis.credentialsSecretRef', cache?.redis?.credentialsSecretRef, REDIS_KEYS),
    ...notifications.map(({ name, secretRef }, index) =>
      use(`spec.notifications[${index}].secretRef`, secretRef, notificationKeys(name, index)),
    ),
  ];
  return uses.filter((found) => found !== undefined);
}

/** What the server is given of a Secret, or why it can't be. Never tells what is in the Secret. */
export function credentialsOf(
  { path, secretName, read, needs }: CredentialUse,
  secret: Secret | undefined,
): { readonly variables: Variables; readonly problem?: undefined } | { readonly problem: CredentialProblem } {
  const problem = (reason: CredentialProblem['reason'], message: string) => ({
    problem: { reason, message },
  });
  if (secret === undefined) {
    return problem(
      'SecretNotFound',
      `There is no Secret ${secretName}, which ${path} names. Make it, with ${needs}.`,
    );
  }
  if (!mayBeUsed(secret)) {
    return problem('NotPermitted', notPermitted(secretName));
  }
  const variables = read(secret);
  if (variables !== undefined) return { variables };
  return problem('KeyNotFound', `The Secret ${secretName}, which ${path} names, needs ${needs}.`);
}

/** Whoever may write a Registry could otherwise use anything of the namespace through it. */
export function mayBeUsed({ metadata }: Pick<KubeObject, 'metadata'>): boolean {
  return metadata.labels?.[USE_LABEL] === USE_CREDENTIALS;
}

/** What to do about an object that `mayBeUsed` refuses. */
export function notPermitted(
  name: string,
  kind: 'Secret' | 'ServiceAccount' | 'PersistentVolumeClaim' = 'Secret',
): string {
  return `The ${kind} ${name} does not allow this use. Whoever may change it can: kubectl label ${kind.toLowerCase()} ${name} ${USE_LABEL}=${USE_CREDENTIALS}`;
}

interface Keys extends Pick<CredentialUse, 'read' | 'needs'> {}

function use(
  path: string,
  ref: { readonly name: string } | undefined,
  keys: Keys,
): CredentialUse | undefined {
  return ref === undefined ? undefined : { path, secretName: ref.name, ...keys };
}

/** The value of the first of the keys that is there, without a line break at its end; an empty one is none. */
function valueOf(secret: Secret, ...keys: readonly string[]): string | undefined {
  const values = keys.map((key) => dataText(secret, key)?.replace(/\r?\n$/, ''));
  return values.find((value) => value !== undefined && value !== '');
}

/** All of `required` and what is there of `optional`. A value is quoted, since the server reads YAML. */
function variablesFrom(
  required: Readonly<Record<string, string | undefined>>,
  optional: Readonly<Record<string, string | undefined>> = {},
): Variables | undefined {
  if (Object.values(required).includes(undefined)) return undefined;
  const values = Object.entries({ ...required, ...optional });
  return Object.fromEntries(
    values.flatMap(([name, value]) => (value === undefined ? [] : [[name, JSON.stringify(value)]])),
  );
}

const S3_KEYS: Keys = {
  needs: 'the keys accesskey and secretkey, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY',
  read: (secret) =>
    variablesFrom({
      REGISTRY_STORAGE_S3_ACCESSKEY: valueOf(secret, 'accesskey', 'AWS_ACCESS_KEY_ID'),
      REGISTRY_STORAGE_S3_SECRETKEY: valueOf(secret, 'secretkey', 'AWS_SECRET_ACCESS_KEY'),
    }),
};

const AZURE_KEYS: Keys = {
  needs: 'the key accountkey, or clientsecret with clientID and tenantID in the Registry',
  read: (secret) => {
    const [account, client] = [valueOf(secret, 'accountkey'), valueOf(secret, 'clientsecret')];
    return account === undefined
      ? variablesFrom({ REGISTRY_STORAGE_AZURE_CREDENTIALS_SECRET: client })
      : variablesFrom({ REGISTRY_STORAGE_AZURE_ACCOUNTKEY: account });
  },
};

const GCS_KEYS: Keys = {
  needs: 'the key key.json, which holds the key file of a service account',
  read: (secret) => {
    const key = parseObject(valueOf(secret, 'key.json') ?? '');
    return key && { REGISTRY_STORAGE_GCS_CREDENTIALS: JSON.stringify(key) };
  },
};

const SWIFT_KEYS: Keys = {
  needs: 'the keys username and password',
  read: (secret) =>
    variablesFrom(
      {
        REGISTRY_STORAGE_SWIFT_USERNAME: valueOf(secret, 'username'),
        REGISTRY_STORAGE_SWIFT_PASSWORD: valueOf(secret, 'password'),
      },
      { REGISTRY_STORAGE_SWIFT_SECRETKEY: valueOf(secret, 'secretkey') },
    ),
};

const OSS_KEYS: Keys = {
  needs: 'the keys accesskeyid and accesskeysecret',
  read: (secret) =>
    variablesFrom({
      REGISTRY_STORAGE_OSS_ACCESSKEYID: valueOf(secret, 'accesskeyid'),
      REGISTRY_STORAGE_OSS_ACCESSKEYSECRET: valueOf(secret, 'accesskeysecret'),
    }),
};

const REDIS_KEYS: Keys = {
  needs: 'the key password',
  read: (secret) =>
    variablesFrom(
      { REGISTRY_REDIS_PASSWORD: valueOf(secret, 'password') },
      { REGISTRY_REDIS_USERNAME: valueOf(secret, 'username') },
    ),
};

/** Of an endpoint, by its place in the configuration. */
function notificationKeys(name: string, index: number): Keys {
  return {
    needs: 'the key authorization or the key secret',
    read: (secret) => {
      const [authorization, signing] = [valueOf(secret, 'authorization'), valueOf(secret, 'secret')];
      if (authorization === undefined && signing === undefined) return undefined;
      return {
        ...(authorization !== undefined && {
          [`REGISTRY_NOTIFICATIONS_ENDPOINTS_${index}_HEADERS`]: JSON.stringify({
            Authorization: [authorization],
          }),
        }),
        ...(signing !== undefined && {
          [`REGISTRY_STEVEDORE_NOTIFICATIONS_SECRETS_${name.toUpperCase()}`]: JSON.stringify(signing),
        }),
      };
    },
  };
}

function parseObject(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
