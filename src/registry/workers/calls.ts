import type { Registry } from 'prom-client';
import type { Config } from '../../contract/config/config.ts';
import type { RecordedEvent } from '../notifications/event-recorder.ts';
import type { HealthReport } from '../health/health-monitor.ts';
import type { HandOver } from '../storage/upload-store.ts';
import type { StatusDocument } from '../../contract/status-document.ts';

/** As prom-client tells the values of metrics to those who add them up. */
export type MetricsJson = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

/** What the primary asks of a worker. */
export interface WorkerCalls {
  status(this: void): Promise<StatusDocument>;
  health(this: void): Promise<HealthReport>;
  setInService(this: void, inService: boolean): Promise<void>;
  metrics(this: void): Promise<MetricsJson>;
  /** Gives up an upload, unless a request for it is in progress. */
  handOver(this: void, folder: string): Promise<HandOver>;
  /** Answered at once; the worker ends when its requests have. */
  stop(this: void): void;
}

/** What the primary has read at the start; a worker that comes later must not read anything else. */
export interface WorkerSettings {
  readonly config: Config;
  /** Of the configuration file. */
  readonly configHash: string;
  /** Its name, for messages. */
  readonly configFile: string;
}

/** What a worker asks of the primary. */
export interface PrimaryCalls {
  settings(this: void): WorkerSettings;
  /** The worker takes requests. */
  started(this: void, address: string): void;
  /** Wants an upload that is not in its own hands. */
  claim(this: void, upload: { readonly folder: string; readonly id: string }): Promise<HandOver>;
  /** Has no more to do with an upload that it claimed. */
  leave(this: void, folder: string): void;
  /** Answered when nobody else has the lock of that name. */
  lock(this: void, key: string): Promise<void>;
  unlock(this: void, key: string): void;
  /** Something happened that webhooks are told of. */
  take(this: void, event: RecordedEvent): void;
}
