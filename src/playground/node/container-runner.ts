import { randomUUID } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Stored } from '../../kube/object.ts';
import type { Pod } from '../../kube/resources.ts';
import { timeText } from '../controllers/write-status.ts';
import { ContainerLog, lastLines } from './container-log.ts';
import { ContainerProcess, type ProcessExit } from './container-process.ts';
import { containerEnvironment, expand, type Container } from './environment.ts';
import type { ContainerRecord } from './pod-status.ts';
import type { PodTools } from './pod-worker.ts';
import { probeOnce, watchProbe, type Probe, type ProbeFailure } from './probe.ts';

/** What a container needs of its pod. */
export interface PodContext {
  readonly tools: PodTools;
  readonly address: string;
  readonly folder: string;
  /** The newest state of its object. */
  readonly pod: () => Stored<Pod>;
  /** The folder of each volume. */
  readonly volumes: () => ReadonlyMap<string, string>;
  /** Aborted when nothing is to be started any more. */
  readonly ending: AbortSignal;
  /** Aborted when there is no grace left. */
  readonly killing: AbortSignal;
  /** How long processes may take to end; `preStop` only where the pod itself ends, and not the node. */
  readonly grace: () => { readonly milliseconds: number; readonly withPreStop: boolean };
  /** The record has changed. */
  readonly tell: () => void;
  readonly event: (type: 'Normal' | 'Warning', reason: string, action: string, note: string) => void;
  /** Until the time is over, or something has changed. */
  readonly pause: (milliseconds: number) => Promise<void>;
}

/** Restarts: at once, then after 10 s, 20 s and so on; anew when it has run for a while. */
const BACKOFF = { firstMs: 10_000, longestMs: 300_000, resetMs: 600_000 };
/** What is left for SIGTERM when preStop has taken the whole grace period. */
const LEAST_GRACE_MS = 2_000;
const LONGEST_MESSAGE = 4096;
const MESSAGE_FROM_LOG = { lines: 80, bytes: 2048 };
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Runs one container of a pod, again and again as the pod's restart policy says, and keeps its record. */
export class ContainerRunner {
  readonly record: ContainerRecord;
  readonly #pod: PodContext;
  #log: ContainerLog | undefined;

  constructor(pod: PodContext, record: ContainerRecord) {
    this.#pod = pod;
    this.record = record;
  }

  /** The file of its log, and the log itself while its run goes on. */
  log(previous: boolean): { readonly path: string; readonly running: ContainerLog | undefined } {
    const path = this.#logPath(this.record.restartCount - Number(previous));
    return { path, running: previous ? undefined : this.#log };
  }

  /** Resolves when it is to be started no more. */
  async run(): Promise<void> {
    const { record } = this;
    const { ending, tools } = this.#pod;
    // It ended before this node began.
    if (record.state.terminated !== undefined) return;
    let crashes = 0;
    while (!ending.aborted) {
      const container = this.#container();
      if (!(await this.#hasImage(container))) continue;
      const environment = await this.#environment(container);
      if (environment === undefined) continue;
      const startedAt = tools.clock.monotonic();
      const exitCode = await this.#runOnce(container, environment);
      const policy = this.#pod.pod().spec?.restartPolicy;
      if (ending.aborted || policy === 'Never' || (policy === 'OnFailure' && exitCode === 0)) return;
      if (tools.clock.monotonic() - startedAt > BACKOFF.resetMs) crashes = 0;
      await this.#backOff(crashes++);
    }
    // How it ended the last time is how it ended.
    if (record.state.waiting !== undefined && record.lastState.terminated !== undefined) {
      record.state = record.lastState;
    }
  }

  /** The spec may have changed since the container was made, but its name is what it is known by. */
  #container(): Container {
    const found = this.#pod.pod().spec?.containers.find(({ name }) => name === this.record.name);
    if (found === undefined) throw new Error(`the pod has no container ${this.record.name} any more`);
    return found;
  }

  async #backOff(crashes: number): Promise<void> {
    const { record } = this;
    const { tools, ending, event } = this.#pod;
    record.lastState = record.state;
    if (crashes > 0) {
      const { name, namespace, uid } = this.#pod.pod().metadata;
      const pause = Math.min(BACKOFF.longestMs, BACKOFF.firstMs * 2 ** (crashes - 1));
      const which = `container=${record.name} pod=${name}_${namespace}(${uid})`;
      this.#wait('CrashLoopBackOff', `back-off ${goDuration(pause)} restarting failed ${which}`);
      event('Warning', 'BackOff', 'Restarting', `Back-off restarting failed ${which}`);
      await tools.clock.sleep(pause, ending).catch(() => undefined);
      if (ending.aborted) return;
    }
    record.restartCount += 1;
  }

  /** True when the image is here; otherwise waits a while, as for an image that cannot be pulled. */
  async #hasImage({ image = '' }: Container): Promise<boolean> {
    const { tools, event, pause } = this.#pod;
    if (image === tools.image) return true;
    const why = `failed to pull image "${image}": this node pulls nothing, and runs ${tools.image} alone`;
    if (this.record.state.waiting?.reason !== 'ImagePullBackOff') {
      this.#wait('ErrImagePull', why);
      event('Warning', 'Failed', 'Pulling', `Failed to pull image "${image}": ${why}`);
      await pause(BACKOFF.firstMs);
    }
    this.#wait('ImagePullBackOff', `Back-off pulling image "${image}": ErrImagePull: ${why}`);
    await pause(BACKOFF.longestMs);
    return false;
  }

  async #environment(container: Container): Promise<Readonly<Record<string, string>> | undefined> {
    const { tools, address, event, pause } = this.#pod;
    const pod = this.#pod.pod();
    try {
      const status = { ...pod.status, podIP: address, hostIP: tools.hostIP };
      return containerEnvironment({ ...pod, status }, container, tools.objects(pod.metadata.namespace ?? ''));
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.#wait('CreateContainerConfigError', message);
      event('Warning', 'Failed', 'Creating', `Error: ${message}`);
      await pause(BACKOFF.firstMs);
      return undefined;
    }
  }

  /** One run, from its start to its end, with its probes; gives the exit code. */
  async #runOnce(container: Container, environment: Readonly<Record<string, string>>): Promise<number> {
    const { record } = this;
    const { tools, folder, event, tell } = this.#pod;
    const startedAt = this.#time();
    const containerID = `stevedore://${randomUUID()}`;
    record.containerID = containerID;
    if (container.command !== undefined) {
      const message = `exec: "${container.command[0] ?? ''}": executable file not found in $PATH: this node runs the image's own program alone`;
      const failed = { exitCode: 128, reason: 'StartError', message };
      record.state = { terminated: { ...failed, startedAt, finishedAt: startedAt, containerID } };
      event('Warning', 'Failed', 'Starting', `Error: ${message}`);
      tell();
      return failed.exitCode;
    }
    const messageFile = join(folder, `${record.name}.message`);
    await writeFile(messageFile, '');
    await rm(this.#logPath(record.restartCount - 2), { force: true });
    const log = await ContainerLog.create(this.#logPath(record.restartCount), () => tools.clock.now());
    const process = this.#start(container, environment, messageFile, log);
    this.#log = log;
    record.state = { running: { startedAt } };
    event('Normal', 'Started', 'Starting', `Started container ${record.name}`);

    const exit = await this.#watch(container, process);
    this.#log = undefined;
    record.ready = false;
    record.started = false;
    const message = await this.#terminationMessage(container, exit, messageFile);
    record.state = {
      terminated: { ...stateOf(exit), ...message, startedAt, finishedAt: this.#time(), containerID },
    };
    tell();
    return exit.exitCode;
  }

  #start(
    container: Container,
    environment: Readonly<Record<string, string>>,
    messageFile: string,
    log: ContainerLog,
  ): ContainerProcess {
    const { tools, address, folder, volumes } = this.#pod;
    const { clock, program } = tools;
    const mounts = (container.volumeMounts ?? []).flatMap(({ name, mountPath, subPath = '' }) => {
      const target = volumes().get(name);
      const path = mountPath.replace(/(?<=.)\/+$/, '');
      return target === undefined ? [] : [{ path, target: join(target, subPath) }];
    });
    const { terminationMessagePath = '/dev/termination-log', args = [] } = container;
    return new ContainerProcess({
      program,
      place: {
        address,
        mounts: [...mounts, { path: terminationMessagePath, target: messageFile }],
        untouched: [program.folder, tools.folder],
      },
      folder,
      args: args.map((argument) => expand(argument, environment)),
      environment: { PATH, HOSTNAME: this.#pod.pod().metadata.name, ...environment },
      log,
      clock,
    });
  }

  /** Resolves when the process has ended: by itself, by a probe, or since the pod is to end. */
  async #watch(container: Container, process: ContainerProcess): Promise<ProcessExit> {
    const { record } = this;
    const { ending, event, tell } = this.#pod;
    const over = new AbortController();
    const kill = (failure: ProbeFailure, which: string): void => {
      over.abort();
      const note = `Container ${record.name} failed ${which} probe, will be restarted: ${failure ?? ''}`;
      event('Normal', 'Killing', 'Stopping', note);
      const seconds = this.#pod.pod().spec?.terminationGracePeriodSeconds ?? 30;
      void this.#stop(container, process, { milliseconds: seconds * 1000, withPreStop: true });
    };
    const begin = (): void => {
      record.started = true;
      record.ready = container.readinessProbe === undefined;
      tell();
      this.#probe(container, 'readiness', over.signal, (success) => {
        if (record.ready !== success) {
          record.ready = success;
          tell();
        }
      });
      this.#probe(container, 'liveness', over.signal, (success, failure) => {
        if (!success) kill(failure, 'liveness');
      });
    };
    const end = (): void => {
      event('Normal', 'Killing', 'Stopping', `Stopping container ${record.name}`);
      void this.#stop(container, process, this.#pod.grace());
    };
    if (container.startupProbe === undefined) begin();
    else {
      tell();
      const starting = new AbortController();
      this.#probe(
        container,
        'startup',
        AbortSignal.any([starting.signal, over.signal]),
        (success, failure) => {
          starting.abort();
          if (success) begin();
          else kill(failure, 'startup');
        },
      );
    }
    if (ending.aborted) end();
    else ending.addEventListener('abort', end, { once: true });
    const exit = await process.exited;
    ending.removeEventListener('abort', end);
    over.abort();
    return exit;
  }

  #probe(
    container: Container,
    which: 'startup' | 'readiness' | 'liveness',
    signal: AbortSignal,
    verdict: (success: boolean, failure: ProbeFailure) => void,
  ): void {
    const probe: Probe | undefined = container[`${which}Probe`];
    if (probe === undefined) return;
    const { tools, address, event } = this.#pod;
    const name = which[0]?.toUpperCase() + which.slice(1);
    const failed = (failure: string): void => {
      // Before it listens nobody wonders that it does not answer.
      if (which !== 'startup') event('Warning', 'Unhealthy', 'Probing', `${name} probe failed: ${failure}`);
    };
    const look = (): Promise<ProbeFailure> => probeOnce(probe, container, address);
    void watchProbe({ probe, look, verdict, failed, clock: tools.clock }, signal);
  }

  /** preStop, SIGTERM, SIGKILL, all within the grace period. */
  async #stop(
    container: Container,
    process: ContainerProcess,
    grace: ReturnType<PodContext['grace']>,
  ): Promise<void> {
    const { tools, killing } = this.#pod;
    const { milliseconds, withPreStop } = grace;
    const wanted = withPreStop ? (container.lifecycle?.preStop?.sleep?.seconds ?? 0) * 1000 : 0;
    const sleepMs = Math.min(milliseconds, wanted);
    if (sleepMs > 0) await tools.clock.sleep(sleepMs, killing).catch(() => undefined);
    await process.stop(Math.max(LEAST_GRACE_MS, milliseconds - sleepMs), killing);
  }

  async #terminationMessage(
    container: Container,
    { exitCode }: ProcessExit,
    messageFile: string,
  ): Promise<{ readonly message?: string }> {
    const bytes = await readFile(messageFile).catch(() => Buffer.alloc(0));
    const written = bytes.subarray(0, LONGEST_MESSAGE).toString();
    if (written !== '') return { message: written };
    if (container.terminationMessagePolicy !== 'FallbackToLogsOnError' || exitCode === 0) return {};
    const path = this.#logPath(this.record.restartCount);
    const message = await lastLines(path, MESSAGE_FROM_LOG.lines, MESSAGE_FROM_LOG.bytes);
    return message === '' ? {} : { message };
  }

  #wait(reason: string, message: string): void {
    this.record.state = { waiting: { reason, message } };
    this.#pod.tell();
  }

  #logPath(restarts: number): string {
    return join(this.#pod.folder, `${this.record.name}.${restarts}.log`);
  }

  #time(): string {
    return timeText(this.#pod.tools.clock.now());
  }
}

function stateOf({ exitCode, signal }: ProcessExit) {
  const reason = exitCode === 0 ? 'Completed' : 'Error';
  return { exitCode, reason, ...(signal !== undefined && { signal }) };
}

/** As Go prints a time.Duration of whole seconds. */
function goDuration(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  const minutes = Math.floor(seconds / 60);
  return minutes === 0 ? `${seconds}s` : `${minutes}m${seconds % 60}s`;
}
