import { STATUS_PATH, STATUS_PORT } from '../contract/places.ts';
import type { StatusDocument } from '../contract/status-document.ts';

/** What a server says of itself, or undefined when it can't be asked. Never throws. */
export type ReadServerStatus = (address: string) => Promise<StatusDocument | undefined>;

const ANSWER_TIMEOUT_MS = 2000;
const LONGEST_DOCUMENT = 65_536;

/** Asks the status port of a pod. */
export const readServerStatus: ReadServerStatus = async (address) => {
  const text = await readStatusPage(address, STATUS_PORT, LONGEST_DOCUMENT);
  return text === undefined ? undefined : parseStatusDocument(text);
};

/** What a pod of ours answers to `GET /status`, of at most `most` bytes; undefined when it can't be asked. Never throws. */
export async function readStatusPage(
  address: string,
  port: number,
  most: number,
): Promise<string | undefined> {
  const host = address.includes(':') ? `[${address}]` : address;
  try {
    const response = await fetch(`http://${host}:${port}${STATUS_PATH}`, {
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
      redirect: 'error',
    });
    const text = await textUpTo(response, most);
    return response.ok ? text : undefined;
  } catch {
    // Not there, not reachable, too slow, or nothing of ours: all the same to who asks.
    return undefined;
  }
}

/** A body as text, undefined when it is longer than `most` bytes: whoever holds the pod's address may send without end. */
export async function textUpTo(response: Response, most: number): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Leaving the loop cancels the rest.
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > most) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Reads the document as far as it fits; whoever holds the pod's address may answer anything. */
export function parseStatusDocument(text: string): StatusDocument | undefined {
  const document = parseJson(text);
  if (!isObject(document) || !isObject(document['readOnly'])) return undefined;
  const { version, configHash, certificate, users, access, storage, readOnly, openUploads, mirror } =
    document;
  if (typeof version !== 'string' || typeof configHash !== 'string') return undefined;
  const reason = (['Configured', 'Draining', 'Marking'] as const).find(
    (known) => known === readOnly['reason'],
  );
  return {
    version,
    configHash,
    ...(isObject(certificate) && {
      certificate: { serial: textOf(certificate['serial']), notAfter: textOf(certificate['notAfter']) },
    }),
    ...(isObject(users) && {
      users: {
        count: countOf(users['count']),
        hash: textOf(users['hash']),
        errors: entryErrors(users['errors']),
      },
    }),
    ...(isObject(access) && {
      access: {
        hash: textOf(access['hash']),
        ...(typeof access['error'] === 'string' && { error: textOf(access['error']) }),
      },
    }),
    ...(isObject(storage) && {
      storage: { ...(typeof storage['problem'] === 'string' && { problem: textOf(storage['problem']) }) },
    }),
    readOnly: {
      active: readOnly['active'] === true,
      ...(reason !== undefined && { reason }),
      ...(isTime(readOnly['since']) && { since: readOnly['since'] }),
    },
    openUploads: countOf(openUploads),
    ...(isObject(mirror) && { mirror: parseMirror(mirror) }),
  };
}

function parseMirror({ upstreams, cache }: Readonly<Record<string, unknown>>) {
  const limit = isObject(cache) ? countOf(cache['limit']) : 0;
  return {
    upstreams: (Array.isArray(upstreams) ? upstreams : [])
      .filter(isObject)
      .slice(0, 16)
      .map(({ host, reachable, lastError }) => ({
        host: textOf(host),
        ...(typeof reachable === 'boolean' && { reachable }),
        ...(typeof lastError === 'string' && { lastError: textOf(lastError) }),
      })),
    cache: { bytes: isObject(cache) ? countOf(cache['bytes']) : 0, ...(limit > 0 && { limit }) },
  };
}

function entryErrors(value: unknown): readonly { readonly line: number; readonly reason: string }[] {
  if (!Array.isArray(value)) return [];
  return value
    .filter(isObject)
    .slice(0, 100)
    .map(({ line, reason }) => ({ line: countOf(line), reason: textOf(reason) }));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, 256) : '';
}

function countOf(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : 0;
}

function isTime(value: unknown): value is string {
  return typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(value);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
