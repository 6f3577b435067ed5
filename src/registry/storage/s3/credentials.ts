import type { Clock } from '../../../process/clock.ts';
import type { AccessToken } from '../object-store/access-token.ts';
import type { StoreClient } from '../object-store/store-client.ts';

/** Who asks, to Amazon's kind of services. */
export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Goes with keys that last for some hours. */
  readonly sessionToken?: string;
}

export type LastingCredentials = AccessToken<Credentials>;

export interface CredentialOptions {
  readonly region: string;
  readonly clock: Clock;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** For services on the network. */
  readonly client: StoreClient;
  /** For services of the machine itself, which no proxy leads to. */
  readonly local: StoreClient;
}

/** Keys in the environment, under today's names and the old ones. */
export function environmentCredentials(
  environment: CredentialOptions['environment'],
): LastingCredentials | undefined {
  const accessKeyId = environment['AWS_ACCESS_KEY_ID'] || environment['AWS_ACCESS_KEY'];
  const secretAccessKey = environment['AWS_SECRET_ACCESS_KEY'] || environment['AWS_SECRET_KEY'];
  if (!accessKeyId || !secretAccessKey) return undefined;
  const sessionToken = environment['AWS_SESSION_TOKEN'];
  return {
    value: { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) },
    lifetime: Infinity,
  };
}
