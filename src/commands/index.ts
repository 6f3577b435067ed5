import type { Command } from './command.ts';

/** Commands load on demand, so that `serve` never imports the Kubernetes client. */
export const commands = {
  serve: () => import('./serve.ts').then((module): Command => module.serve),
  'garbage-collect': () => import('./garbage-collect.ts').then((module): Command => module.garbageCollect),
  scrub: () => import('./scrub.ts').then((module): Command => module.scrub),
  copy: () => import('./copy.ts').then((module): Command => module.copy),
  check: () => import('./check.ts').then((module): Command => module.check),
  operator: () => import('./operator.ts').then((module): Command => module.operator),
  'node-agent': () => import('./node-agent.ts').then((module): Command => module.nodeAgent),
  status: () => import('./status.ts').then((module): Command => module.status),
  playground: () => import('./playground.ts').then((module): Command => module.playground),
  htpasswd: () => import('./htpasswd.ts').then((module): Command => module.htpasswd),
};

export type CommandName = keyof typeof commands;
