import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { load } from 'js-yaml';
import { writeYaml } from './layout.ts';

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

/**
 * A topic: requests in order, in a namespace of their own, each with the answer that a real API server gave. One file
 * of test/golden/api-server, written by hand but for the answers, which scripts/record-golden.ts fills in.
 *
 * In requests `<namespace>` stands for the namespace, `<other>` for a second one, and `<STEP.path.to.field>` for a field
 * of the answer to the step of that name. What a server chooses stands in answers as a placeholder: see normaliser.ts.
 */
export interface Scenario {
  readonly title: string;
  /** CustomResourceDefinitions that must be there, as files relative to the repository. */
  readonly definitions?: readonly string[];
  /** Who else asks, beside the administrator: ServiceAccounts of the namespace and what they may do in it. */
  readonly accounts?: Readonly<Record<string, readonly Rule[]>>;
  readonly steps: readonly Step[];
}

/** A rule of a Role of rbac.authorization.k8s.io/v1. */
export interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

export interface Step {
  /** Why it is asked, where the request does not say it. */
  readonly title?: string;
  /** By which later steps and the list of differences refer to it. */
  readonly name?: string;
  /** Method and target: `GET /api/v1/namespaces/<namespace>/secrets?watch=true`. */
  readonly request: string;
  /** An account of the scenario; `nobody` sends no credentials, `forger` wrong ones; without it the administrator. */
  readonly as?: string;
  /** Without `accept` it is application/json; without `content-type` a body that is no text is application/json. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Text is sent as it stands, anything else as JSON. */
  readonly body?: Json;
  /** Of a watch: what is asked when it has begun, as the same account. */
  readonly meanwhile?: readonly Step[];
  /** Asked again until the answer has this status, or this text in its body; only the last answer counts. */
  readonly until?: number | string;
  /** History is forgotten before this request, as etcd does by compaction. */
  readonly afterCompaction?: boolean;
  /** Outside of the playground's border: the status with which it refuses what the real server does. */
  readonly refusedWith?: number;
  readonly answer?: Answer;
}

export interface Answer {
  readonly status: number;
  /** Those that matter; `content-type` only when it is not application/json. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Json;
  /** Of a watch, instead of a body. */
  readonly events?: readonly Json[];
}

/** What is asked. */
export function withoutAnswer(step: Step): Step {
  const { answer, ...asked } = step;
  return answer === undefined ? step : asked;
}

export interface ScenarioFile {
  /** Without folder and ending: what the list of differences calls it. */
  readonly topic: string;
  readonly path: string;
  readonly scenario: Scenario;
}

const folder = join(import.meta.dirname, '../../golden/api-server');

/** Every scenario, by name. Throws when a file is none. */
export function readScenarios(): readonly ScenarioFile[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.yaml'))
    .sort()
    .map((name) => {
      const path = join(folder, name);
      // Written by writeScenario, or by hand to be recorded; a wrong key fails there or in the first use.
      const scenario = load(readFileSync(path, 'utf8')) as Scenario;
      return { topic: name.replace(/\.yaml$/, ''), path, scenario };
    });
}

/** The text of a file, from which readScenarios makes an equal scenario; the same for the same scenario. */
export function scenarioText(scenario: Scenario): string {
  return writeYaml(scenario as unknown as Json);
}
