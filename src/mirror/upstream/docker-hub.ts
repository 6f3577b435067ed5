import type { RepositoryName } from '../../oci/repository-name.ts';

/** The host under which images name Docker's registry. */
export const DOCKER_HUB = 'docker.io';

/** Where it answers. */
export const DOCKER_HUB_REGISTRY = 'registry-1.docker.io';

/** The name of a repository at an upstream: Docker's own images are in `library/`, which people leave out. */
export function upstreamRepository(host: string, repository: RepositoryName): RepositoryName {
  // A prefix of the grammar's own keeps to the grammar.
  return host === DOCKER_HUB && !repository.includes('/')
    ? (`library/${repository}` as RepositoryName)
    : repository;
}
