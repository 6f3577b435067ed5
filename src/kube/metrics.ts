import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** Everything the runtime counts, under the names that controller-runtime and client-go made known. */
export interface KubeMetrics {
  readonly requests: Counter<'code' | 'method' | 'host'>;
  readonly reconciles: Counter<'controller' | 'result'>;
  readonly reconcileErrors: Counter<'controller'>;
  readonly terminalReconcileErrors: Counter<'controller'>;
  readonly reconcilePanics: Counter<'controller'>;
  readonly reconcileSeconds: Histogram<'controller'>;
  readonly maxConcurrentReconciles: Gauge<'controller'>;
  readonly activeWorkers: Gauge<'controller'>;
  readonly queueDepth: Gauge<'name' | 'controller'>;
  readonly queueAdds: Counter<'name' | 'controller'>;
  readonly queueSeconds: Histogram<'name' | 'controller'>;
  readonly workSeconds: Histogram<'name' | 'controller'>;
  readonly queueRetries: Counter<'name' | 'controller'>;
  readonly unfinishedWorkSeconds: Gauge<'name' | 'controller'>;
  readonly longestRunningSeconds: Gauge<'name' | 'controller'>;
  readonly leader: Gauge<'name'>;
  /** Called before the gauges that depend on the time of the scrape are read. */
  onCollect(update: () => void): void;
}

const RECONCILE_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const QUEUE_BUCKETS = [1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100, 1000];

/** Registers the runtime's metrics. Once per registry: a second time throws. */
export function createKubeMetrics(registry: Registry): KubeMetrics {
  const registers = [registry];
  const controller = ['controller'] as const;
  const queue = ['name', 'controller'] as const;
  const updates: (() => void)[] = [];
  return {
    requests: new Counter({
      name: 'rest_client_requests_total',
      help: 'Requests to the API server by status code, method and host.',
      labelNames: ['code', 'method', 'host'],
      registers,
    }),
    reconciles: new Counter({
      name: 'controller_runtime_reconcile_total',
      help: 'Reconciliations by controller and result.',
      labelNames: ['controller', 'result'],
      registers,
    }),
    reconcileErrors: new Counter({
      name: 'controller_runtime_reconcile_errors_total',
      help: 'Reconciliations that failed and are retried.',
      labelNames: controller,
      registers,
    }),
    terminalReconcileErrors: new Counter({
      name: 'controller_runtime_terminal_reconcile_errors_total',
      help: 'Reconciliations that stalled: somebody must change something first.',
      labelNames: controller,
      registers,
    }),
    reconcilePanics: new Counter({
      name: 'controller_runtime_reconcile_panics_total',
      help: 'Reconciliations that failed by a fault of the program.',
      labelNames: controller,
      registers,
    }),
    reconcileSeconds: new Histogram({
      name: 'controller_runtime_reconcile_time_seconds',
      help: 'Duration of reconciliations.',
      labelNames: controller,
      buckets: RECONCILE_BUCKETS,
      registers,
    }),
    maxConcurrentReconciles: new Gauge({
      name: 'controller_runtime_max_concurrent_reconciles',
      help: 'Workers of a controller.',
      labelNames: controller,
      registers,
    }),
    activeWorkers: new Gauge({
      name: 'controller_runtime_active_workers',
      help: 'Workers of a controller that are busy.',
      labelNames: controller,
      registers,
    }),
    queueDepth: new Gauge({
      name: 'workqueue_depth',
      help: 'Keys that wait for a worker.',
      labelNames: queue,
      registers,
      // The queues' gauges follow from their state and the time: they are all brought up to date by this first one.
      collect: () => {
        for (const update of updates) update();
      },
    }),
    queueAdds: new Counter({
      name: 'workqueue_adds_total',
      help: 'Keys added.',
      labelNames: queue,
      registers,
    }),
    queueSeconds: new Histogram({
      name: 'workqueue_queue_duration_seconds',
      help: 'How long keys waited for a worker.',
      labelNames: queue,
      buckets: QUEUE_BUCKETS,
      registers,
    }),
    workSeconds: new Histogram({
      name: 'workqueue_work_duration_seconds',
      help: 'How long keys were worked on.',
      labelNames: queue,
      buckets: QUEUE_BUCKETS,
      registers,
    }),
    queueRetries: new Counter({
      name: 'workqueue_retries_total',
      help: 'Keys added again with backoff.',
      labelNames: queue,
      registers,
    }),
    unfinishedWorkSeconds: new Gauge({
      name: 'workqueue_unfinished_work_seconds',
      help: 'Sum of the ages of the work in progress.',
      labelNames: queue,
      registers,
    }),
    longestRunningSeconds: new Gauge({
      name: 'workqueue_longest_running_processor_seconds',
      help: 'Age of the oldest work in progress.',
      labelNames: queue,
      registers,
    }),
    leader: new Gauge({
      name: 'leader_election_master_status',
      help: '1 while this process leads.',
      labelNames: ['name'],
      registers,
    }),
    onCollect: (update) => void updates.push(update),
  };
}
