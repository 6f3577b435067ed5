import type { ServerResponse } from 'node:http';
import type { Clock } from '../../../process/clock.ts';
import type { Faults, RequestInfo } from '../faults.ts';
import { apiVersionOf, type JsonObject, type Kind } from '../kind.ts';
import { metaOf, resourceOf } from '../stored-object.ts';
import { expired, type StatusError } from '../status-error.ts';
import { ForgottenError, type Change, type Store } from '../store.ts';
import { objectText, table, type Form } from './answer.ts';
import { listObjects, type ListOptions } from './read.ts';

/** How often a watch hears of the present revision when nothing happens. */
const BOOKMARK_MS = 60_000;
/** Before the end of a watch comes a last bookmark, so that the next one can begin there. */
const LAST_BOOKMARK_MS = 2_000;
const DEFAULT_TIMEOUT_S = 1800;

type EventType = 'ADDED' | 'MODIFIED' | 'DELETED';

export interface Watch {
  readonly store: Store;
  readonly clock: Clock;
  readonly faults: Faults;
  readonly kind: Kind;
  readonly request: RequestInfo;
  readonly options: ListOptions;
  readonly form: Form;
  readonly response: ServerResponse;
}

/** Streams changes until the client goes, the time is over or the server stops. @throws {StatusError} before it begins */
export async function serveWatch(watch: Watch): Promise<void> {
  const { store, clock, kind, request, options, response } = watch;
  const version = options.resourceVersion;
  const stream = new EventStream(watch);
  const ended = new AbortController();
  response.on('close', () => ended.abort());
  response.writeHead(200, { 'content-type': 'application/json' });
  response.flushHeaders();
  const start = version === 0 ? store.revision : version;
  if (version === 0) {
    for (const object of listObjects(store, kind, request.namespace, options).objects)
      stream.send('ADDED', object);
  }
  let stop = () => {};
  try {
    stop = store.watch(start, (change) => {
      const event = eventOf(change, watch);
      if (event !== undefined && change.revision > start) stream.send(event.type, event.object);
    });
  } catch (error) {
    if (!(error instanceof ForgottenError)) throw error;
    stream.fail(expired(`too old resource version: ${start} (${error.oldest})`));
  }
  if (!response.writableEnded) await keep(stream, clock, options, ended.signal);
  stop();
  response.end();
}

/** Sends bookmarks until the time is over. */
async function keep(
  stream: EventStream,
  clock: Clock,
  options: ListOptions,
  signal: AbortSignal,
): Promise<void> {
  const end = clock.monotonic() + (options.timeoutSeconds ?? DEFAULT_TIMEOUT_S) * 1000;
  let last = end - LAST_BOOKMARK_MS;
  try {
    for (;;) {
      const now = clock.monotonic();
      if (now >= end) return;
      const until = now < last ? Math.min(now + BOOKMARK_MS, last) : end;
      await clock.sleep(until - now, signal);
      if (options.allowBookmarks && until < end) stream.bookmark();
      // A timer may fire a little early; there is one last bookmark all the same.
      if (until === last) last = -Infinity;
    }
  } catch (error) {
    // The client has gone.
    if (!signal.aborted) throw error;
  }
}

/** What a change is to a watch with a selector: an object may come into its view, or leave it. */
function eventOf(
  { resource, deleted, object, before }: Change,
  { kind, request, options }: Watch,
): { readonly type: EventType; readonly object: JsonObject } | undefined {
  const { namespace = metaOf(object)['namespace'] } = request;
  if (resource !== resourceOf(kind) || metaOf(object)['namespace'] !== namespace) return undefined;
  const was = before !== undefined && options.matches(before);
  const is = !deleted && options.matches(object);
  if (is) return { type: was ? 'MODIFIED' : 'ADDED', object };
  if (!was) return undefined;
  const { metadata } = object;
  // The last state that was in view, with the version of the change that took it out.
  const version = (metadata as JsonObject)['resourceVersion'] ?? '';
  return {
    type: 'DELETED',
    object: deleted
      ? object
      : { ...before, metadata: { ...(before['metadata'] as JsonObject), resourceVersion: version } },
  };
}

class EventStream {
  readonly #watch: Watch;
  #hasColumns = false;
  #isStalled = false;
  /** Events leave in their order, also when one is delayed. */
  #queue: Promise<void> | undefined;

  constructor(watch: Watch) {
    this.#watch = watch;
  }

  send(type: EventType, object: JsonObject): void {
    const { faults, request, clock, response } = this.#watch;
    const fault = this.#isStalled ? 'drop' : (faults.watchEvent?.(request, { type, object }) ?? 'pass');
    if (fault === 'stall') this.#isStalled = true;
    if (fault === 'stall' || fault === 'drop') return;
    const line = `{"type":"${type}","object":${this.#text(object)}}\n`;
    const write = (): void => void response.write(fault === 'repeat' ? line + line : line);
    if (typeof fault === 'object') {
      this.#queue = (this.#queue ?? Promise.resolve()).then(() => clock.sleep(fault.delayMs)).then(write);
    } else if (this.#queue) this.#queue = this.#queue.then(write);
    else write();
  }

  /** Tells the present revision. */
  bookmark(): void {
    const { store, kind, form, response } = this.#watch;
    if (this.#isStalled || this.#queue) return;
    const metadata = { resourceVersion: String(store.revision) };
    const object = { kind: kind.kind, apiVersion: apiVersionOf(kind), metadata };
    const shown = form.as === 'Table' ? this.#text(object) : JSON.stringify(object);
    response.write(`{"type":"BOOKMARK","object":${shown}}\n`);
  }

  fail(error: StatusError): void {
    this.#watch.response.end(`{"type":"ERROR","object":${JSON.stringify(error.body)}}\n`);
  }

  #text(object: JsonObject): string {
    const { kind, form, clock } = this.#watch;
    if (form.as !== 'Table') return objectText(kind, object, form, clock.now());
    const version = (object['metadata'] as JsonObject)['resourceVersion'] ?? '';
    const shown = table(kind, [object], { resourceVersion: version }, form, clock.now(), !this.#hasColumns);
    this.#hasColumns = true;
    return JSON.stringify(shown);
  }
}
