import { Agent, request } from 'undici';
import type { OriginUrl } from '../contract/node-plan.ts';

export interface ProbeTarget {
  readonly endpoint: OriginUrl;
  /** PEM; absent: what Node trusts. */
  readonly ca?: string;
  readonly header?: Readonly<Record<string, string>>;
}

/** Asks a mirror from here. @returns why pulls must not be sent there; undefined when they may. Never throws. */
export type Probe = (target: ProbeTarget) => Promise<string | undefined>;

/** As long as pulls may be held up by it. */
const TIMEOUT_MS = 3000;

/** Asks for `/v2/`, as the runtime will: the same address, authority and header. OCI distribution-spec, end-1. */
export const probeMirror: Probe = async ({ endpoint, ca, header }) => {
  const dispatcher = new Agent({ connect: { ...(ca !== undefined && { ca }), timeout: TIMEOUT_MS } });
  try {
    const { statusCode, body } = await request(`${endpoint}/v2/`, {
      dispatcher,
      headers: { ...header },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    await body.dump();
    return statusCode === 200 ? undefined : refusal(statusCode);
  } catch (error) {
    return messageOf(error);
  } finally {
    await dispatcher.destroy();
  }
};

function refusal(status: number): string {
  return status === 401
    ? 'it asks for a login, which runtimes would answer with the credentials of pods'
    : `it answers /v2/ with ${status}`;
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return 'it does not answer';
  return error.name === 'TimeoutError' ? `it does not answer within ${TIMEOUT_MS / 1000} s` : error.message;
}
