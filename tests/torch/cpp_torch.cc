/* SPDX-License-Identifier: MIT */
/*
 * cpp_torch write KIND FILE
 * cpp_torch compare SOURCE VIEW
 *
 * Checkpoints of torch's C++ library: its pickler remembers the result of a persistent
 * id, so of tensors on one storage only the first has one, and its reader knows fewer
 * opcodes than others.  "compare" reads a checkpoint of the kind "pickle-save" and its
 * view with that reader.
 */
#include <torch/nn/module.h>
#include <torch/serialize.h>

#include <cstdio>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace
{

using Values = c10::impl::GenericDict;

struct Layer : torch::nn::Module {
	Layer()
	{
		register_parameter("weight", torch::randn({3, 4}));
		register_buffer("mean", torch::randn({4}));
	}
};

Values empty_dict()
{
	return Values(c10::StringType::get(), c10::AnyType::get());
}

/* A state dict with tied tensors, views, lists, and tensors that are kept. */
c10::IValue checkpoint()
{
	const auto tied = torch::randn({6, 5});
	auto weights = empty_dict();
	weights.insert("embedding", tied);
	weights.insert("head", tied);
	weights.insert("transposed", tied.t());
	weights.insert("row", tied[2]);

	auto optimizer = empty_dict();
	optimizer.insert("exp_avg", torch::randn({5}));
	auto whole = empty_dict();
	whole.insert("model", weights);
	whole.insert("list", std::vector<torch::Tensor>{torch::randn({3}), tied});
	c10::impl::GenericList mixed(c10::AnyType::get());
	for (const c10::IValue &value : {c10::IValue(torch::randn({2, 2})), c10::IValue(7)})
		mixed.push_back(value);
	whole.insert("mixed", mixed);
	whole.insert("steps", torch::arange(9));
	whole.insert("half", torch::ones({3}, torch::kHalf));
	whole.insert("optimizer", optimizer);
	whole.insert("epoch", 12);
	whole.insert("sizes", std::vector<int64_t>{1, 2, 3});
	return whole;
}

void pickle_save(const std::string &path)
{
	const std::vector<char> bytes = torch::pickle_save(checkpoint());
	std::ofstream file(path, std::ios::binary);
	file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
	file.close();
	if (!file)
		throw std::runtime_error(path + " cannot be written");
}

using Writer = std::function<void(const std::string &)>;

const std::map<std::string, Writer> kinds = {
	{"pickle-save", pickle_save},
	{"tensor", [](const std::string &path) { torch::save(torch::randn({7}), path); }},
	{"tensors",
	 [](const std::string &path) {
		 torch::save(
			 std::vector<torch::Tensor>{torch::randn({7}), torch::ones({2})},
			 path);
	 }},
	{"module",
	 [](const std::string &path) { torch::save(std::make_shared<Layer>(), path); }},
};

c10::impl::GenericDict load(const std::string &path)
{
	std::ifstream file(path, std::ios::binary);
	const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
	return torch::pickle_load(bytes).toGenericDict();
}

bool compare(const std::string &source, const std::string &view)
{
	const auto before = load(source), after = load(view);
	const auto weights = before.at("model").toGenericDict();
	const auto halves = after.at("model").toGenericDict();
	bool same = weights.size() == halves.size() && weights.size() > 0;

	for (const auto &item : weights)
		same = same && torch::equal(item.value().toTensor().to(torch::kHalf),
					    halves.at(item.key()).toTensor());
	for (size_t i = 0; i < 2; i++)
		same = same &&
		       torch::equal(before.at("list").toTensorVector()[i].to(torch::kHalf),
				    after.at("list").toTensorVector()[i]);
	return same &&
	       torch::equal(before.at("steps").toTensor(), after.at("steps").toTensor());
}

int run(const std::vector<std::string> &words)
{
	if (words.size() == 3 && words[0] == "write" && kinds.count(words[1])) {
		torch::manual_seed(1);
		kinds.at(words[1])(words[2]);
		return 0;
	}
	if (words.size() == 3 && words[0] == "compare") {
		if (compare(words[1], words[2]))
			return 0;
		std::fprintf(stderr, "cpp_torch: %s differs\n", words[2].c_str());
		return 1;
	}
	std::fprintf(stderr, "usage: cpp_torch write KIND FILE | compare SOURCE VIEW\n");
	return 2;
}

} // namespace

int main(int argc, char **argv)
{
	try {
		return run({argv + 1, argv + argc});
	} catch (const std::exception &error) {
		std::fprintf(stderr, "cpp_torch: %s\n", error.what());
		return 1;
	}
}
