/* Trains a network on Fashion-MNIST (Debian's package dataset-fashion-mnist) and writes it to model.safetensors. */
#include <backprop/backprop.h>
#include <stdio.h>

int main(void)
{
    bp_model_options network = {.inputs = 784, .layers = "256:relu,128:relu,10", .loss = BP_LOSS_SOFTMAX_CROSS_ENTROPY};
    bp_trainer_options optimizer = {.batch = 128, .lr = 0.05, .momentum = 0.9};
    bp_train_options course = {.epochs = 5};
    bp_context *context = NULL;
    bp_data *train = NULL, *test = NULL;
    bp_model *model = NULL;
    bp_trainer *trainer = NULL;
    bp_evaluation result;
    /* every call returns BP_STATUS_OK, which is 0: the first that fails ends the chain */
    int failed = bp_context_create(NULL, &context) || bp_data_load_fashion_mnist(context, NULL, "train", &train) ||
                 bp_data_load_fashion_mnist(context, NULL, "test", &test) ||
                 bp_model_create(context, &network, &model) || bp_data_standardize(train, model) ||
                 bp_trainer_create(model, &optimizer, &trainer) || bp_train(trainer, train, &course) ||
                 bp_evaluate(model, test, &result) || bp_model_save(model, "model.safetensors");
    if (failed)
        fprintf(stderr, "%s\n", bp_last_error(context));
    else
        printf("test accuracy %.4f, test loss %.4f\n", result.accuracy, result.loss);
    bp_trainer_destroy(trainer);
    bp_model_destroy(model);
    bp_data_destroy(test);
    bp_data_destroy(train);
    bp_context_destroy(context);
    return failed;
}
