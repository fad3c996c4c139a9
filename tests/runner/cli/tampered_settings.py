"""Changes to what a run was: settings, environment, model, tags; and what a rerun has to say."""

import json

from tests.runner.cli.rerunning import execute
from tests.runner.cli.tampering import WAS_CHANGED, Changes, Job, Phrases, adding_to

SETTINGS: Changes = {}
change = adding_to(SETTINGS)


@change(2)
def the_config(job: Job) -> Phrases:
    job.replace("config.yaml", "learning_rate: 0.04", "learning_rate: 0.05")
    said = "optimizer.learning_rate is '0.05', and the run's params say '0.04'"
    return [f"config.yaml: was edited after the run: {said}"]


@change(2)
def the_config_and_its_digest(job: Job) -> Phrases:
    phrases = the_config(job)
    job.match_digests("config.yaml")
    return phrases


@change(2)
def the_config_its_digest_and_the_param(job: Job) -> Phrases:
    the_config_and_its_digest(job)
    job.set("params", "optimizer.learning_rate", "0.05")
    return ["runner.key: must be that of config.yaml and runner.data_digest"]


@change(2)
def the_config_to_no_yaml(job: Job) -> Phrases:
    job.replace("config.yaml", "learning_rate: 0.04", "learning_rate: [0.04")
    return ["config.yaml, line", "must be YAML, got", "It was edited after the run."]


@change(2)
def the_config_to_no_plain_value(job: Job) -> Phrases:
    job.replace("config.yaml", "learning_rate: 0.04", "learning_rate: ${seed}")
    return ["optimizer.learning_rate: must be a plain value", "It was edited after the run."]


@change(2)
def the_config_to_an_illegal_value(job: Job) -> Phrases:
    job.replace("config.yaml", "learning_rate: 0.04", "learning_rate: -1.0")
    return ["optimizer.learning_rate: must be ", "It was edited after the run."]


@change(5)
def the_name_in_the_config_and_its_digest(job: Job) -> Phrases:
    job.replace("config.yaml", "name: tutorial", "name: other")
    job.match_digests("config.yaml")
    said = "name is 'other', and the run's params say 'tutorial'"
    return [f"config.yaml: {said}; one of them was edited after the run\n"]


@change(5)
def a_param(job: Job) -> Phrases:
    job.set("params", "optimizer.learning_rate", "0.05")
    said = "optimizer.learning_rate is '0.04', and the run's params say '0.05'"
    return [f"config.yaml: {said}; one of them was edited after the run\n"]


@change(5)
def a_param_deleted(job: Job) -> Phrases:
    statement = "DELETE FROM params WHERE run_uuid = ? AND key = 'optimizer.momentum'"
    assert execute(job.store, statement, job.run.run_id) == 1
    return ["optimizer.momentum is '0.0', and the run's params say nothing of it;"]


@change(5)
def the_environment_deleted(job: Job) -> Phrases:
    job.file("environment.json").unlink()
    return ["environment.json: is missing", "environment   not on record"]


@change(5)
def the_environment(job: Job) -> Phrases:
    job.replace("environment.json", '"threads": 1', '"threads": 2')
    return [f"environment.json: {WAS_CHANGED}", "BLAS threads"]


@change(5)
def the_environment_and_its_digest(job: Job) -> Phrases:
    the_environment(job)
    job.match_digests("environment.json")
    return ["environment.json: is not the environment that the run's tags name", "BLAS threads"]


def _swap_classes(job: Job) -> None:
    settings = json.loads(job.file("model.json").read_text(encoding="utf-8"))
    settings["class_names"].reverse()
    job.file("model.json").write_text(json.dumps(settings), encoding="utf-8")


@change(5)
def the_class_names(job: Job) -> Phrases:
    _swap_classes(job)
    return [f"model.json: {WAS_CHANGED}"]


@change(5)
def the_class_names_and_their_digest(job: Job) -> Phrases:
    _swap_classes(job)
    job.match_digests("model.json")
    return ["model.json: is not what the same data and settings give"]


@change(5)
def the_tag_of_the_environment(job: Job) -> Phrases:
    job.set("tags", "runner.environment", "0" * 16)
    return ["environment.json: is not the environment that the run's tags name"]


@change(5)
def the_tag_of_the_weights(job: Job) -> Phrases:
    job.set("tags", "runner.weights_sha256", "0" * 64)
    return ["weights.npz: are not the weights that the tag runner.weights_sha256 names"]


@change(2)
def the_tag_of_the_data(job: Job) -> Phrases:
    job.set("tags", "runner.data_digest", "0" * 64)
    return ["runner.key: must be that of config.yaml and runner.data_digest"]


@change(5)
def the_tag_of_the_split(job: Job) -> Phrases:
    job.set("tags", "runner.split_digest", "0" * 64)
    return ["runner.split_digest: was edited after the run\n", f"split digest  {'0' * 16}"]


@change(5)
def the_tag_of_the_split_in_its_last_place(job: Job) -> Phrases:
    digest = job.run.tags["runner.split_digest"]
    changed = digest[:-1] + ("0" if digest[-1] != "0" else "1")
    job.set("tags", "runner.split_digest", changed)
    return ["runner.split_digest: was edited after the run\n", f"split digest  {changed[:10]}"]


@change(5)
def the_tag_of_the_split_deleted(job: Job) -> Phrases:
    statement = "DELETE FROM tags WHERE run_uuid = ? AND key = 'runner.split_digest'"
    assert execute(job.store, statement, job.run.run_id) == 1
    return ["runner.split_digest: was edited after the run\n", "split digest  not on record"]
