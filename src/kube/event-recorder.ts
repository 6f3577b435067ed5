import type { Clock } from '../process/clock.ts';
import type { Logger } from '../process/logger.ts';
import { isNotFound } from './api-error.ts';
import type { Random } from './backoff.ts';
import type { KubeClient } from './client.ts';
import { microTime } from './micro-time.ts';
import type { KubeObject, NamespacedName } from './object.ts';
import { events, type Event } from './resources.ts';

export interface EventDetails {
  readonly type: Event['type'];
  /** One CamelCase word. */
  readonly reason: string;
  /** What the operator did or tried, one CamelCase word. */
  readonly action: string;
  /** For people; cut at 1024 characters. Never holds a secret. */
  readonly note: string;
}

/** Writes Events (events.k8s.io/v1), which `kubectl describe` shows with the object. */
export interface EventRecorder {
  /**
   * Call it on a transition, not on every look. Never throws and never waits: what can't be written is lost, and
   * logged. The same event again within 6 minutes only counts up the first one, and an object that has had 25 events
   * gets one more each 5 minutes.
   */
  record(object: KubeObject, details: EventDetails): void;
  /** Resolves when everything recorded so far is written or lost. */
  flush(): Promise<void>;
}

const SERIES_MS = 360_000;
const BURST = 25;
const REFILL_MS = 300_000;
const LONGEST_NOTE = 1024;
/** Series and objects that are remembered; the oldest are forgotten first. */
const MEMORY = 4096;

export function createEventRecorder(options: {
  readonly client: Pick<KubeClient, 'create' | 'patch'>;
  /** The program, such as `stevedore.dev/operator`. */
  readonly controller: string;
  /** The process: host or pod name. */
  readonly instance: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}): EventRecorder {
  const { client, controller, instance, clock, random, log } = options;
  const series = new Map<string, Series>();
  const budgets = new Map<string, Budget>();
  const pending = new Set<Promise<void>>();

  function eventOf(key: NamespacedName, object: KubeObject, details: EventDetails): Event {
    const { name, namespace, uid, resourceVersion } = object.metadata;
    return {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: key,
      eventTime: microTime(clock.now()),
      reportingController: controller,
      reportingInstance: instance,
      action: details.action,
      reason: details.reason,
      note: details.note.length > LONGEST_NOTE ? `${details.note.slice(0, LONGEST_NOTE - 1)}…` : details.note,
      type: details.type,
      regarding: {
        apiVersion: object.apiVersion,
        kind: object.kind,
        name,
        ...(namespace !== undefined && { namespace }),
        ...(uid !== undefined && { uid }),
        ...(resourceVersion !== undefined && { resourceVersion }),
      },
    };
  }

  async function begin(entry: Series, object: KubeObject, details: EventDetails): Promise<void> {
    const suffix = Math.floor(random() * 2 ** 48)
      .toString(16)
      .padStart(12, '0');
    entry.key = {
      namespace: object.metadata.namespace ?? 'default',
      name: `${object.metadata.name}.${suffix}`,
    };
    entry.count = 1;
    await client.create(events, eventOf(entry.key, object, details));
  }

  async function countUp(entry: Series, object: KubeObject, details: EventDetails): Promise<void> {
    if (entry.key === undefined) {
      await begin(entry, object, details);
      return;
    }
    entry.count += 1;
    try {
      const seen = { count: entry.count, lastObservedTime: microTime(clock.now()) };
      await client.patch(events, entry.key, { series: seen });
    } catch (error) {
      // Events live for an hour by default, and anybody may delete them.
      if (!isNotFound(error)) throw error;
      await begin(entry, object, details);
    }
  }

  return {
    record(object, details) {
      const subject =
        object.metadata.uid ?? `${object.kind}/${object.metadata.namespace}/${object.metadata.name}`;
      if (!takeFromBudget(budgets, subject, clock.monotonic())) return;
      const id = JSON.stringify([subject, details.type, details.reason, details.action, details.note]);
      const entry = seriesFor(series, id, clock.monotonic());
      entry.tail = entry.tail
        .then(() => countUp(entry, object, details))
        .catch((error: unknown) => {
          entry.key = undefined;
          log.warn(
            { error, kind: object.kind, name: object.metadata.name, reason: details.reason },
            'event not recorded',
          );
        });
      const write = entry.tail;
      pending.add(write);
      void write.then(() => pending.delete(write));
    },
    async flush() {
      await Promise.all(pending);
    },
  };
}

interface Series {
  lastAt: number;
  count: number;
  /** Undefined until the first one is written. */
  key: NamespacedName | undefined;
  /** Writes of one series go one after the other. */
  tail: Promise<void>;
}

function seriesFor(series: Map<string, Series>, id: string, now: number): Series {
  const known = series.get(id);
  const entry =
    known !== undefined && now - known.lastAt < SERIES_MS
      ? known
      : { lastAt: now, count: 0, key: undefined, tail: Promise.resolve() };
  entry.lastAt = now;
  remember(series, id, entry);
  return entry;
}

interface Budget {
  readonly tokens: number;
  readonly at: number;
}

function takeFromBudget(budgets: Map<string, Budget>, subject: string, now: number): boolean {
  const { tokens, at } = budgets.get(subject) ?? { tokens: BURST, at: now };
  const available = Math.min(BURST, tokens + (now - at) / REFILL_MS);
  const allowed = available >= 1;
  remember(budgets, subject, { tokens: allowed ? available - 1 : available, at: now });
  return allowed;
}

/** Puts the entry last, and forgets the one that was used longest ago when there are too many. */
function remember<T>(entries: Map<string, T>, key: string, value: T): void {
  entries.delete(key);
  entries.set(key, value);
  if (entries.size <= MEMORY) return;
  const oldest = entries.keys().next().value;
  if (oldest !== undefined) entries.delete(oldest);
}
